"""Data that lives on the device: a batch is one gather."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from dlkit.data.order import Sampler, epoch_order, share, shared
from dlkit.data.prefetch import on_device
from dlkit.data.raw import Ragged
from dlkit.rng import AUGMENT, stream
from dlkit.types import Augmentation, Batch, Encoder, Spec

# An evaluation batch: at most so many examples, and so many bytes of inputs. Small ones cost small models time, large
# ones memory, and time where they leave the caches, if the model makes much of each: of sequences, and of images that
# it convolves, there are fewer.
EVAL_EXAMPLES, EVAL_LARGE = 2000, 256
EVAL_BYTES_CPU, EVAL_BYTES = 8 << 20, 32 << 20
Encoded = Tensor | Ragged


class ResidentData:
    """Encoded splits on the device; batch k is a pure function of (seed, k). Images may be bytes, encoded by batch.

    In training an epoch is one random permutation, cut into batches of `batch_size`; a short last one is dropped.
    """

    def __init__(
        self,
        spec: Spec,
        splits: dict[str, tuple[Encoded, Tensor]],
        encoder: Encoder,
        digest: str,
        *,
        batch_size: int,
        seed: int,
        augment: Augmentation | None = None,
        sampler: Sampler = "uniform",
        limit_batches: int = 0,
        notes: tuple[str, ...] = (),
        raw: dict[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.encoder = encoder
        self.batch_size = batch_size
        self.augment = augment
        self.notes = notes
        self.split_sizes = {name: len(y) for name, (_, y) in splits.items()}
        self.steps_per_epoch = steps_in_epoch(self.split_sizes["train"], batch_size, limit_batches)
        self._splits, self._digest, self._seed, self._limit = splits, digest, seed, limit_batches
        self._raw = raw or {}
        self._sampler = sampler
        self._part = (0, 1)  # which process this is, of how many
        self._labels = splits["train"][1].cpu()
        self._lengths = {name: x.lengths for name, (x, _) in splits.items() if isinstance(x, Ragged)}

    def fingerprint(self) -> str:
        """A digest of the raw examples of all splits: the same data, the same letters."""
        return self._digest

    def targets(self, split: str) -> Tensor:
        """Targets of a split in its order, on the device."""
        return self._splits[split][1]

    def lengths(self, split: str) -> Tensor | None:
        """Lengths (N,) of a split's sequences as the encoder gave them, on the CPU; None for what has one shape."""
        return self._lengths.get(split)

    def share(self, number: int, of: int) -> None:
        """From now on gives only the part of every batch and evaluation that is process `number`'s of so many.

        Random changes are made to the whole batch before it is cut, so they are what they are in a single process.
        """
        self._part = (number, of)

    def with_seed(self, seed: int) -> ResidentData:
        """The same examples, which are shared, in another order and otherwise augmented."""
        other = copy(self)
        other._seed = seed
        return other

    def use_channels_last(self) -> None:
        """Holds images in channels_last memory format, so that batches come out so. For models that convolve."""
        for name, (x, y) in self._splits.items():
            if isinstance(x, Tensor) and x.dim() == 4:
                self._splits[name] = (x.to(memory_format=torch.channels_last), y)

    def precompute(self, function: Callable[[Tensor], Tensor]) -> None:
        """Replaces all inputs by what a function without weights makes of them, once: log-mel frames of waveforms.

        Of padded sequences (B, T, …) it makes padded ones (B, T', …): NaN marks the padding of what comes out, too.
        """
        for name, (x, y) in self._splits.items():
            with torch.no_grad():
                parts = [function(batch.x) for batch in _in_order(x, y, _rows(x))]
            self._splits[name] = (torch.cat(parts) if isinstance(x, Tensor) else _unpadded(parts), y)

    def train(self, step: int) -> Iterator[Batch]:
        """Endless batches from global step `step` on."""
        own = share(self.batch_size, *self._part)
        gathered = own if self.augment is None else slice(0, self.batch_size)
        while True:
            epoch, first = divmod(step, self.steps_per_epoch)
            order = self._order(epoch)
            for position in range(first, self.steps_per_epoch):
                batch = self._batch(order, position, gathered)
                if self.augment is not None:
                    changed = self.augment(batch, stream(AUGMENT, self._seed, step), epoch)
                    # Sampling kernels may answer in another memory format; a no-op where they did not.
                    batch = Batch(_like(changed.x[own], batch.x), changed.y[own])
                yield batch
                step += 1

    def train_with(self, others: Sequence[ResidentData], step: int) -> Iterator[Batch]:
        """As `train`, batches (K, B, …) of itself and of others made by `with_seed`: one gather, where that can be."""
        all_of_them = [self, *others]
        x, y = self._splits["train"]
        gathers = isinstance(x, Tensor) and x.dtype is not torch.uint8
        if not gathers or self.augment is not None or self.batch_size == len(y):
            for batches in zip(*(one.train(step) for one in all_of_them), strict=True):
                yield Batch(torch.stack([batch.x for batch in batches]), torch.stack([batch.y for batch in batches]))
            return
        while True:
            epoch, first = divmod(step, self.steps_per_epoch)
            orders = torch.stack([one._order(epoch) for one in all_of_them])  # (K, N)
            for position in range(first, self.steps_per_epoch):
                chosen = orders[:, position * self.batch_size : (position + 1) * self.batch_size]
                rows, shape = chosen.flatten(), chosen.shape
                assert isinstance(x, Tensor)
                yield Batch(_gather(x, rows).unflatten(0, shape), y.index_select(0, rows).unflatten(0, shape))
                step += 1

    def eval(self, split: str) -> Iterator[Batch]:
        """Each example of a split once: in order and without copies; sequences by length, so that little is padded."""
        x, y = of_split(self._splits, split)
        rows = _rows(x, by_length=not self._limit)  # the first few by length would all be the longest
        if self._limit:
            rows = rows[: sum(islice(_sizes(x, rows, y.device), self._limit))]
        for batch in _in_order(x, y, rows, self._part):
            yield Batch(self._encoded(batch.x), batch.y)

    def order(self, split: str) -> Tensor:
        """The rows of a split in the order of `eval`; of several processes those of this one."""
        x, _ = of_split(self._splits, split)
        return _own_rows(x, _rows(x, by_length=not self._limit), self._part)

    def examples(self, split: str, rows: Tensor) -> Batch:
        """The examples in these rows (n,), as `eval` gives them."""
        x, y = of_split(self._splits, split)
        where = rows.to(y.device)
        return Batch(x.padded(rows) if isinstance(x, Ragged) else self._encoded(_gather(x, where)), y[where])

    def raw(self, split: str, rows: Tensor) -> Any:
        """The raw examples in these rows (n,), of the splits whose raw examples are kept; else None."""
        return self._raw[split][rows] if split in self._raw else None

    def _order(self, epoch: int) -> Tensor:
        """Indices of an epoch; on the device, one copy an epoch, where batches are gathered from a tensor."""
        lengths = self._lengths.get("train")  # as they were before `precompute`, which so changes no batch
        order = epoch_order(self._seed, epoch, self._labels, self._sampler, lengths, self.batch_size)
        return on_device(order, self._splits["train"][1].device) if lengths is None else order

    def _batch(self, order: Tensor, position: int, own: slice) -> Batch:
        """These rows of batch number `position` of an epoch."""
        x, y = self._splits["train"]
        if self.batch_size == len(y) and self._sampler == "uniform" and isinstance(x, Tensor):
            return Batch(self._encoded(x[own]), y[own])  # the whole split: its order changes nothing
        start = position * self.batch_size
        chosen = order[start + own.start : start + own.stop]
        if isinstance(x, Ragged):
            return Batch(x.padded(chosen), y.index_select(0, chosen.to(y.device, non_blocking=True)))
        return Batch(self._encoded(_gather(x, chosen)), y.index_select(0, chosen))

    def _encoded(self, x: Tensor) -> Tensor:
        """Floats of images that are held as bytes."""
        return self.encoder.encode(x, x.device) if x.dtype is torch.uint8 else x


def _rows(x: Encoded, by_length: bool = False) -> Tensor:
    """0 … N − 1, or, of sequences, by length, the longest first."""
    if by_length and isinstance(x, Ragged):
        return x.lengths.argsort(descending=True, stable=True)
    return torch.arange(len(x))


def _in_order(x: Encoded, y: Tensor, rows: Tensor, part: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """The examples of these rows, or a process's part of them, in batches that suit the caches.

    Of a tensor the rows are the first ones, and batches are views. Of sequences a process has every n-th, so that long
    ones are many with none.
    """
    if isinstance(x, Ragged):
        rows = _own_rows(x, rows, part)
        start = 0
        for size in _sizes(x, rows, y.device):
            chosen = rows[start : start + size]
            yield Batch(x.padded(chosen), y[chosen.to(y.device, non_blocking=True)])  # no sync
            start += size
        return
    own = shared(len(rows), *part)
    x, y = x[own], y[own]
    start = 0
    for size in _sizes(x, rows[own], y.device):
        yield Batch(x[start : start + size], y[start : start + size])
        start += size


def _own_rows(x: Encoded, rows: Tensor, part: tuple[int, int]) -> Tensor:
    """Of the rows to evaluate those that are a process's part."""
    number, of = part
    if isinstance(x, Ragged):
        return rows[number::of] if len(rows) >= of else rows
    return rows[shared(len(rows), number, of)]


def _sizes(x: Encoded, rows: Tensor, device: torch.device) -> Iterator[int]:
    """How many of these rows are in each evaluation batch."""
    if isinstance(x, Tensor):
        size = eval_size(4 * x[0].numel(), device)  # as floats, which bytes become
        size = min(size, EVAL_LARGE) if _is_channels_last(x) else size
        yield from (min(size, len(rows) - start) for start in range(0, len(rows), size))
        return
    longest = x.lengths[rows].flip(0).cummax(0).values.flip(0).clamp(min=1)  # from here to the end
    start = 0
    while start < len(rows):
        size = eval_size(int(longest[start]) * x.values[0].nbytes, device)
        size = min(size, EVAL_LARGE, len(rows) - start)
        yield size
        start += size


def steps_in_epoch(examples: int, batch_size: int, limit_batches: int) -> int:
    """Whole batches of an epoch, at most `limit_batches` unless that is 0."""
    steps = examples // batch_size
    return min(steps, limit_batches) if limit_batches else steps


def of_split(splits: dict[str, tuple[Any, Tensor]], name: str) -> tuple[Any, Tensor]:
    """Inputs and targets of a split. Raises ValueError where there is none of that name."""
    if name not in splits:
        raise ValueError(f"no {name} split: there are {', '.join(splits)} (data.{name}_fraction makes one)")
    return splits[name]


def eval_size(bytes_each: int, device: torch.device) -> int:
    """Examples of an evaluation batch."""
    budget = EVAL_BYTES_CPU if device.type == "cpu" else EVAL_BYTES
    return max(1, min(EVAL_EXAMPLES, budget // bytes_each))


def _unpadded(parts: list[Tensor]) -> Ragged:
    """Padded batches (B, T, …) as sequences end to end, without the NaN behind each."""
    real = [~part.flatten(2)[..., 0].isnan() if part.dim() > 2 else ~part.isnan() for part in parts]  # (B, T)
    values = torch.cat([part[inside] for part, inside in zip(parts, real, strict=True)])
    return Ragged(values, torch.cat([inside.sum(1) for inside in real]).cpu())


def _gather(x: Tensor, chosen: Tensor) -> Tensor:
    """x[chosen], in the memory format of x. `index_select` is up to twice as fast, but forgets channels_last."""
    if _is_channels_last(x):  # a view (N, H, W, C), whose rows are whole examples
        return x.permute(0, 2, 3, 1).index_select(0, chosen).permute(0, 3, 1, 2)
    return x.index_select(0, chosen)


def _like(changed: Tensor, x: Tensor) -> Tensor:
    """`changed` in the memory format of `x`."""
    return changed.to(memory_format=torch.channels_last) if _is_channels_last(x) else changed.contiguous()


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.stride(1) == 1  # `is_contiguous` cannot tell where there is one channel
