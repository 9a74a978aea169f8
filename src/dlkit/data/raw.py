"""Raw examples as a source hands them over, before they are encoded: what a tensor cannot hold as it is.

All of them, and tensors, have a length, take a mask or indices in brackets, and tell their bytes to a digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from dlkit.data.reading.store import Store


class Raw(Protocol):
    """N raw examples: a Tensor, or one of the classes below."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Tensor) -> Any:
        """The examples where the mask is true, or at the indices."""
        ...


class Texts:
    """N texts."""

    def __init__(self, texts: Sequence[str]):
        self.texts = list(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, chosen: Tensor) -> Texts:
        return Texts([self.texts[i] for i in indices(chosen)])

    def parts(self) -> Iterator[bytes]:
        return _told(self.texts)


class Table:
    """N rows of a table: columns of numbers, float64 (N, F), NaN where missing; columns of words, "" where missing."""

    def __init__(
        self, numbers: Tensor, words: Sequence[Sequence[str]] = (), names: Sequence[str] | None = None
    ) -> None:
        self.numbers = numbers
        self.words = [list(column) for column in words]  # K lists of N
        self.names = list(names) if names is not None else [str(i) for i in range(numbers.shape[1] + len(words))]
        assert all(len(column) == len(numbers) for column in self.words), "columns of different lengths"
        assert len(self.names) == numbers.shape[1] + len(self.words), "a name for each column: numbers, then words"

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: Tensor) -> Table:
        places = indices(chosen)
        return Table(self.numbers[chosen], [[column[i] for i in places] for column in self.words], self.names)

    def parts(self) -> Iterator[bytes]:
        yield f"{self.names} {tuple(self.numbers.shape)}".encode()
        yield self.numbers.contiguous().numpy().tobytes()
        for column in self.words:
            yield from _told(column)


class Ragged:
    """N sequences of different lengths in one tensor, end to end: values (total, …), lengths int64 (N,) on the CPU.

    `padded` cuts some of them out as a rectangle. What marks the padding is a value that no sequence holds: 0 for
    whole numbers (tokens), NaN for the others. So a batch is one tensor, and `models.sequence.unpadded` reads the
    lengths off it.
    """

    def __init__(self, values: Tensor, lengths: Tensor):
        self.values, self.lengths = values, lengths
        ends = lengths.cumsum(0)
        self.starts = ends - lengths
        assert len(values), "no sequence has a step"
        assert int(ends[-1]) == len(values), "lengths do not add up"
        self._device_starts = self.starts.to(values.device, non_blocking=True)  # no sync: streamed, each batch is one
        self._device_lengths = lengths.to(values.device, non_blocking=True)

    @classmethod
    def of(cls, sequences: Iterable[Tensor]) -> Ragged:
        """From tensors (T_i, …)."""
        parts = list(sequences)
        return cls(torch.cat(parts), torch.tensor([len(part) for part in parts]))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, longest, …)."""
        return (len(self), int(self.lengths.max()), *self.values.shape[1:])

    def __getitem__(self, chosen: Tensor) -> Ragged:
        starts, lengths = self.starts.tolist(), self.lengths.tolist()
        return Ragged.of(self.values[starts[i] : starts[i] + lengths[i]] for i in indices(chosen))

    def to(self, device: torch.device | str) -> Ragged:
        to_gpu = torch.device(device).type == "cuda"  # only that way may the copy still be under way
        return Ragged(self.values.to(device, non_blocking=to_gpu), self.lengths)

    def padded(self, chosen: Tensor) -> Tensor:
        """The sequences at the indices `chosen` (B,), on the CPU, padded to their longest: (B, T, …). No sync."""
        longest = max(1, int(self.lengths[chosen].max()))
        where = chosen.to(self.values.device, non_blocking=True)
        steps = torch.arange(longest, device=self.values.device)
        inside = steps < self._device_lengths[where, None]  # (B, T)
        places = (self._device_starts[where, None] + steps).clamp_(max=len(self.values) - 1)
        out = self.values[places]
        inside = inside.reshape(*inside.shape, *(1,) * (out.dim() - 2))
        return out.where(inside, torch.nan if out.is_floating_point() else 0)

    def parts(self) -> Iterator[bytes]:
        yield f"{self.values.dtype} {tuple(self.values.shape)}".encode()
        yield self.lengths.numpy().tobytes()
        yield self.values.contiguous().cpu().numpy().tobytes()


class Files:
    """N files too many for memory: `read(path)` gives an example's raw tensor, all of one shape but for the length of
    waveforms. They are read by `workers` processes while the model trains (data/streamed.py), and those of one shape
    kept in the `store` if there is one, of which `rows` (N,) are theirs (all, where not given).
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[Path], Tensor],
        workers: int = 0,
        store: Store | None = None,
        rows: Tensor | None = None,
    ):
        self.paths, self.read, self.workers, self.store = list(paths), read, workers, store
        self.rows = torch.arange(len(self.paths)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen: Tensor) -> Files:
        places = indices(chosen)
        return Files([self.paths[i] for i in places], self.read, self.workers, self.store, self.rows[chosen])

    def parts(self) -> Iterator[bytes]:
        """Names and sizes: the files themselves are too many to read for a digest."""
        for path in self.paths:
            yield f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode()


def indices(chosen: Tensor) -> list[int]:
    """Of a mask (N,) or of indices (n,)."""
    return (chosen.nonzero().flatten() if chosen.dtype is torch.bool else chosen).tolist()


def _told(texts: Sequence[str]) -> Iterator[bytes]:
    """Each text behind its length, so that no two lists of texts have the same bytes."""
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        yield b"%d:" % len(content) + content
