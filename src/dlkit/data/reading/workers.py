"""Reading files in worker processes, batch after batch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlkit.data.raw import Files, Ragged
from dlkit.rng import SPLIT, stream

SAMPLE, SAMPLE_BYTES = 5000, 256 << 20  # most files, and bytes of raw examples, that an encoder is fitted on
SAMPLING = 3  # third key of the stream, after those of splits.py
AT_ONCE = 64  # files of a sample that a worker reads before it hands them over


def read_batches(x: Any, plan: Iterator[Tensor], *, pin: bool = False, start_late: bool = False) -> Iterator[Any]:
    """The raw examples of each batch of the plan, which gives indices (B,): a Tensor, or Ragged where lengths differ.

    `Files` are read by their workers, which end with this iterator; with `start_late` the first batch is read here, so
    that a look at it costs no processes. What is in memory is indexed. `pin`: in page-locked memory, for the copy to a
    GPU. Raises ValueError where a file cannot be read.
    """
    if not isinstance(x, Files):
        yield from (x[chosen] for chosen in plan)
        return
    reader = Reader(x.read)
    tasks = ([x.paths[i] for i in chosen.tolist()] for chosen in plan)
    for paths in islice(tasks, None if not x.workers else 1 if start_late else 0):
        yield _received(reader[paths])
    if x.workers:
        yield from map(_received, _loader(reader, tasks, x.workers, pin))


def sample(files: Files, seed: int) -> Any:
    """Raw examples of some files drawn at random, `SAMPLE` at most: what an encoder is fitted on."""
    size = max(1, min(SAMPLE, len(files), SAMPLE_BYTES // files.read(files.paths[0]).nbytes))
    chosen = torch.randperm(len(files), generator=stream(SPLIT, seed, SAMPLING))[:size].sort().values
    parts = list(read_batches(files, iter(chosen.split(AT_ONCE))))
    if all(isinstance(part, Tensor) and part.shape[1:] == parts[0].shape[1:] for part in parts):
        return torch.cat(parts)
    return Ragged.of(one for part in parts for one in _each(part))


class Reader(Dataset[Any]):
    """Reads the files of a batch, in a worker. It holds nothing but the function that reads, so workers start fast and
    stay small however many files there are."""

    def __init__(self, read: Callable[[Path], Tensor]):
        self.read = read

    def __getitem__(self, paths: list[Path]) -> Tensor | tuple[Tensor, Tensor] | str:
        """(B, …), or of waveforms of different lengths (total,) and lengths (B,); a text where a file is bad: an error
        would be buried under a worker's traceback."""
        try:
            examples = [self.read(path) for path in paths]
        except ValueError as error:
            return str(error)
        if all(one.shape == examples[0].shape for one in examples):
            return torch.stack(examples)
        return torch.cat(examples), torch.tensor([len(example) for example in examples])


def _received(read: Tensor | tuple[Tensor, Tensor] | str) -> Tensor | Ragged:
    if isinstance(read, str):
        why = "of what is streamed, data.on_error=skip sees the headers only"
        raise ValueError(f"{read}; mend or remove the file ({why})")
    return read if isinstance(read, Tensor) else Ragged(*read)


def _each(part: Tensor | Ragged) -> Iterable[Tensor]:
    return part if isinstance(part, Tensor) else part.values.split(part.lengths.tolist())


def _loader(reader: Reader, tasks: Iterable[list[Path]], workers: int, pin: bool) -> DataLoader[Any]:
    return DataLoader(
        reader,
        batch_size=None,  # a task is a whole batch already
        sampler=tasks,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_leave_signals,
        generator=torch.Generator(),  # else it would draw from the global one, on which dropout depends
    )


def _leave_signals(worker: int) -> None:
    """Ctrl-C reaches workers too: they go on until the run, which makes its step first, ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
