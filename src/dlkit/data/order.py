"""In which order the training examples of an epoch come. Drawn on the CPU, so the same on every device."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dlkit.rng import ORDER, stream

Sampler = Literal["uniform", "balanced"]
POOL = 50  # batches sorted together by length: enough that little is padded, few enough that batches stay random


def epoch_order(
    seed: int, epoch: int, y: Tensor, sampler: Sampler, lengths: Tensor | None = None, batch_size: int = 1
) -> Tensor:
    """Indices (N,) of one epoch: a permutation; `balanced`: N draws with replacement, every class equally likely.

    With `lengths` (N,) examples of similar length stand together: the order is cut into pools of `POOL` batches, each
    pool sorted by length, and its batches shuffled.
    """
    generator = stream(ORDER, seed, epoch)
    if sampler == "balanced":
        counts = torch.bincount(y)
        order = torch.multinomial((1.0 / counts.double())[y], len(y), replacement=True, generator=generator)
    else:
        order = torch.randperm(len(y), generator=generator)
    return order if lengths is None else _grouped(order, lengths, batch_size, generator)


def _grouped(order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    whole = len(order) // batch_size * batch_size  # the rest stays last, where it is dropped
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in order[:whole].split(POOL * batch_size)]
    batches = torch.cat(pools).view(-1, batch_size)
    shuffled = batches[torch.randperm(len(batches), generator=generator)]
    return torch.cat([shuffled.flatten(), order[whole:]])


def share(count: int, number: int, of: int) -> slice:
    """Which of `count` rows belong to process `number` of so many: as `torch.tensor_split` cuts."""
    each, more = divmod(count, of)
    first = number * each + min(number, more)
    return slice(first, first + each + (number < more))


def shared(count: int, number: int, of: int) -> slice:
    """As `share`, of rows to evaluate: all of them where there are fewer than processes, so that none has nothing.

    Each counts once for every process then, which changes no mean over them.
    """
    return slice(0, count) if count < of else share(count, number, of)
