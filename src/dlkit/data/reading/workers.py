"""Reading files in worker processes, batch after batch."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from dlkit.data.raw import Files, Ragged
from dlkit.data.reading.store import Store
from dlkit.machine import cpus
from dlkit.rng import SPLIT, stream

SAMPLE, SAMPLE_BYTES = 5000, 256 << 20  # most files, and bytes of raw examples, that an encoder is fitted on
SAMPLING = 3  # third key of the stream, after those of splits.py
AT_ONCE = 64  # files of a sample that a worker reads before it hands them over


def read_batches(x: Any, plan: Iterator[Tensor], *, pin: bool = False, start_late: bool = False) -> Iterator[Any]:
    """The raw examples of each batch of the plan, which gives indices (B,): a Tensor, or Ragged where lengths differ.

    `Files` are read by their workers, which end with this iterator; with `start_late` the first batch is read here, so
    that a look at it costs no processes. What their store has is taken from there, and what it has not is put there.
    What is in memory is indexed. `pin`: in page-locked memory, for the copy to a GPU. Raises ValueError where a file
    cannot be read.
    """
    if not isinstance(x, Files):
        yield from (x[chosen] for chosen in plan)
    elif x.store is None:
        yield from _read(x, plan, pin, start_late)
    else:
        yield from _kept(x, x.store, plan, pin, start_late)


def _read(files: Files, plan: Iterator[Tensor], pin: bool, start_late: bool) -> Iterator[Any]:
    reader = Reader(files.read)
    tasks = ([files.paths[i] for i in chosen.tolist()] for chosen in plan)
    for paths in islice(tasks, None if not files.workers else 1 if start_late else 0):
        yield _received(reader[paths])
    if files.workers:
        yield from map(_received, _loader(reader, tasks, files.workers, pin))


def _kept(files: Files, store: Store, plan: Iterator[Tensor], pin: bool, start_late: bool) -> Iterator[Tensor]:
    """What the store lacks of a batch is read by workers and put there, until it lacks a batch or less; then here."""
    reader = Reader(files.read)
    sent: deque[tuple[Tensor, Tensor]] = deque()  # of each batch on its way: its rows, and which of them are read

    def lacking() -> Iterator[Tensor]:
        asked, few = store.has(files.rows), 0  # what is there or on its way
        while len(asked) - int(asked.sum()) > few and (chosen := next(plan, None)) is not None:
            rows = files.rows[chosen]
            sent.append((rows, ~store.has(rows)))
            asked[chosen], few = store.writes, len(chosen)
            asked |= store.has(files.rows)  # other processes write there, too
            yield chosen[sent[-1][1]]

    def together(rows: Tensor, lacks: Tensor, read: Tensor) -> Tensor:
        if lacks.all():
            return read
        batch = store[rows]
        if len(read):
            batch[lacks] = read
        return batch.pin_memory() if pin else batch

    store.refresh()
    try:
        if not store.has(files.rows).all():
            for fresh in _read(files, lacking(), pin, start_late):
                rows, lacks = sent.popleft()
                store.put(rows[lacks], fresh)
                yield together(rows, lacks, fresh)
        for chosen in plan:
            rows = files.rows[chosen]
            lacks = ~store.has(rows)
            read: Any = _received(reader[[files.paths[i] for i in chosen[lacks].tolist()]])
            store.put(rows[lacks], read)
            yield together(rows, lacks, read)
    finally:
        store.mark()


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
        if not examples:
            return torch.empty(0)
        if all(one.shape == examples[0].shape for one in examples):
            batch: Tensor = default_collate(examples)  # in a worker written straight into shared memory
            return batch
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
        num_workers=min(workers, cpus()),
        pin_memory=pin,
        worker_init_fn=_leave_signals,
        generator=torch.Generator(),  # else it would draw from the global one, on which dropout depends
    )


def _leave_signals(worker: int) -> None:
    """Ctrl-C reaches workers too: they go on until the run, which makes its step first, ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it to them, too; they end with the loader
