"""Several processes that train one model: who this one is, and what they tell each other.

torchrun starts them and says by environment variables who each is. Where there is one, nothing here costs anything:
torch.distributed is not imported. What all must do together every process calls, in the same order, or all wait.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # who only asks how many there are does not wait for torch
    from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # for the others; the first may fetch data or average checkpoints meanwhile


class Elsewhere(Exception):
    """Another process has failed, and says why."""


def world() -> int:
    """How many processes train the model."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """The number of this process, from 0. Number 0 writes the files and talks to the user."""
    return int(os.environ["RANK"]) if world() > 1 else 0


def local_rank() -> int:
    """The number of this process among those of its machine: which GPU is its own."""
    return int(os.environ.get("LOCAL_RANK", 0)) if world() > 1 else 0


def join() -> None:
    """Meets the other processes, the first time it is called. CPUs talk through gloo, GPUs through NCCL."""
    if world() == 1:
        return
    import torch
    import torch.distributed as group

    if not group.is_initialized():
        store, number, of = next(group.rendezvous("env://", timeout=PATIENCE))
        # torchrun keeps one store over its restarts: what those who are gone left there would be taken for the living.
        store = group.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        group.init_process_group(backend, store=store, rank=number, world_size=of, timeout=PATIENCE)
        atexit.register(group.destroy_process_group)


def tell(value: T) -> T:
    """The value that the first process has."""
    if world() == 1:
        return value
    import torch.distributed as group

    values = [value]
    group.broadcast_object_list(values, src=0)
    return values[0]


def gather(value: T) -> list[T]:
    """The values of all processes, in their order."""
    if world() == 1:
        return [value]
    import torch.distributed as group

    values: list[T] = [value] * world()
    group.all_gather_object(values, value)
    return values


def most(*numbers: int) -> list[int]:
    """Each number's largest over the processes; no device waits for it."""
    if world() == 1:
        return list(numbers)
    import torch
    import torch.distributed as group

    tensor = torch.tensor(numbers)
    group.all_reduce(tensor, group.ReduceOp.MAX)
    largest: list[int] = tensor.tolist()
    return largest


def total(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sums of tensors of one type over the processes."""
    if world() == 1:
        return list(tensors)
    import torch
    import torch.distributed as group

    flat = torch.cat([tensor.flatten() for tensor in tensors])
    group.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def spread(tensors: Sequence[Tensor]) -> None:
    """Gives every process the content that the tensors have in the first."""
    if world() == 1:
        return
    import torch.distributed as group

    for tensor in tensors:
        content = tensor.detach().contiguous()
        group.broadcast(content, src=0)
        tensor.detach().copy_(content)


@contextmanager
def together() -> Iterator[None]:
    """What fails in one process fails in all, so that none waits for it.

    The first of those that failed raises what it met, to be told once; the others raise `Elsewhere`.
    """
    if world() == 1:
        yield
        return
    error: BaseException | None = None
    try:
        yield
    except Exception as met:
        error = met
    global _failed
    met_it_here = error is not None and not isinstance(error, Elsewhere)  # and not within, where all were told already
    failures = [number for number, fails in enumerate(gather(met_it_here)) if fails]
    _failed = bool(failures)
    if error and (failures[0] == rank() or isinstance(error, Elsewhere)):
        raise error
    if failures:
        raise Elsewhere(f"process {failures[0]} has failed")


_failed = False  # what is done together


def farewell(code: int) -> int:
    """The exit code of all, where they failed together: the highest.

    Called when the failure has been told: torchrun ends all processes when one has ended.
    """
    return most(code)[0] if _failed else code


def is_lost(error: BaseException) -> bool:
    """Whether this process failed because another is gone."""
    import torch.distributed as group

    return isinstance(error, group.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextmanager
def one_first() -> Iterator[None]:
    """The first process of each machine goes ahead of its others: what it fetches and caches is there for them."""
    if local_rank() > 0:
        _barrier()
    try:
        yield
    finally:
        if local_rank() == 0:
            _barrier()


def _barrier() -> None:
    most(0)
