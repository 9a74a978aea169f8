"""Examples decoded once, in a file mapped into memory: for sets that do not fit there."""

from __future__ import annotations

import os
import shutil
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GB = 10**9
FREE = 0.9  # of the free disk: more is not taken
PAGE = 4096  # bytes: a row begins on a page, so that two machines on a shared disk never write the same one
MARK = 64 << 20  # bytes written between two marks: what a run that is killed loses at most


class Store:
    """N examples of one shape in one file, each written there by whichever run reads it first.

    The file is N rows of whole pages, then N bytes, 1 for a row that is there. Rows are brought to the disk before they
    are marked, so what is marked is whole whenever a run is killed or the power fails. Any number of runs may write at
    once: of an example they write the same. The pages belong to the system, which drops them as it needs, so memory
    does not grow with what is read. `writes`: whether it still can. Raises OSError where there can be no such file.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...], dtype: torch.dtype):
        self.path, self._unmarked = path, 0  # bytes
        # Masks, since indices kept batch after batch would lie between the large blocks of the heap and let it grow.
        self._there, self._written = torch.zeros(2, count, dtype=torch.bool)
        kind, size = torch.empty(0, dtype=dtype).numpy().dtype, int(np.prod(shape))
        self._row = row_bytes(shape, dtype)
        self._marks = count * self._row  # where they begin
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self.writes = _opened(path, self._marks + count)
        weakref.finalize(self, self._file.close).atexit = False  # what is read then may still be marked
        rows = np.memmap(path, np.uint8, "r", shape=(count, self._row))
        self._values = np.asarray(rows)[:, : size * kind.itemsize].view(kind).reshape(count, *shape)
        self.refresh()

    @property
    def share(self) -> float:
        """How much is there, in [0, 1]."""
        return float(self._there.double().mean())

    def refresh(self) -> None:
        """Takes up what other runs have marked. The file is opened anew, for which a shared disk drops old copies."""
        if not self._there.all():
            marks = np.fromfile(self.path, np.bool_, len(self._there), offset=self._marks)
            self._there |= torch.from_numpy(marks)

    def has(self, rows: Tensor) -> Tensor:
        """Which of the rows (n,) are there: bool (n,)."""
        return self._there[rows]

    def __getitem__(self, rows: Tensor) -> Tensor:
        """A copy of the rows (n, …); those that are not there hold anything."""
        return torch.from_numpy(self._values[rows.numpy()])

    def put(self, rows: Tensor, values: Tensor) -> None:
        """Writes rows. A disk that refuses is warned of once, and nothing more is written."""
        if not self.writes:
            return
        try:
            for row, value in zip(rows.tolist(), values.numpy(), strict=True):
                self._write(row * self._row, value.tobytes())
        except OSError as error:
            self._stop(error)
            return
        self._there[rows] = self._written[rows] = True
        self._unmarked += len(rows) * self._row
        if self._unmarked >= MARK:
            self.mark()

    def mark(self) -> None:
        """Brings what was written to the disk, and marks it as there."""
        if not self._unmarked:
            return
        try:
            os.fsync(self._file.fileno())
            for row in self._written.nonzero().flatten().tolist():
                self._write(self._marks + row, b"\1")
        except OSError as error:
            self._there[self._written] = False  # what the disk refused late may be zeros
            self._stop(error)
        self._written.zero_()
        self._unmarked = 0
        self.refresh()  # what other processes have read meanwhile need not be read again

    def _write(self, place: int, content: bytes) -> None:
        self._file.seek(place)
        if self._file.write(content) < len(content):
            raise OSError("the disk is full")

    def _stop(self, error: OSError) -> None:
        if self.writes:
            _warn(self.path.parent, error)
        self.writes = False


def open_store(
    path: Path, count: int, shape: tuple[int, ...], dtype: torch.dtype, limit: float
) -> tuple[Store | None, str]:
    """The store of `count` decoded examples, and a note for the user: where it is, how large and how full.

    None where they would take more than `limit` GB, which the note says (0: nothing), and where the disk has no room or
    the file cannot be had, which are warned of.
    """
    size = count * (row_bytes(shape, dtype) + 1)
    if limit == 0:
        return None, ""
    if size > limit * GB:
        return None, f"not kept decoded: {size / GB:.3g} GB, more than data.cache_limit={limit:g}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = size - _taken(path), shutil.disk_usage(path.parent).free
        if needed > FREE * free:
            raise OSError(f"they would take {needed / GB:.3g} GB, and {free / GB:.3g} GB are free")
        store = Store(path, count, shape, dtype)
    except OSError as error:
        _warn(path.parent, error)
        return None, ""
    state = "all there" if store.share == 1 else f"{store.share:.0%} there, the rest as it is first read"
    return store, f"kept decoded in {path}: {size / GB:.3g} GB, {state}"


def row_bytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """Of an example in the file: whole pages."""
    return -(-int(np.prod(shape)) * dtype.itemsize // PAGE) * PAGE


def _opened(path: Path, size: int) -> tuple[Any, bool]:
    """The file, of that size, and whether it may be written to."""
    try:
        path.touch()
        file = path.open("r+b", buffering=0)
    except OSError:
        if path.is_file() and path.stat().st_size == size:
            return path.open("rb", buffering=0), False
        raise
    file.truncate(size)  # holes: room is taken as rows are written
    return file, True


def _taken(path: Path) -> int:
    """Bytes of the disk that the file takes already, its holes left out where the system says so."""
    if not path.is_file():
        return 0
    stat = path.stat()
    return getattr(stat, "st_blocks", stat.st_size // 512) * 512


def _warn(folder: Path, error: OSError) -> None:
    why = error.strerror or str(error)
    warnings.warn(f"data.cache: decoded examples are not kept in {folder}: {why}", stacklevel=3)
