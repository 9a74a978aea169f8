"""Data that lives on the device: a batch is one gather."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from dlkit.data.batches import (
    Encoded,
    gather,
    in_format_of,
    in_order,
    of_split,
    own_rows,
    rows_of,
    sizes,
    steps_in_epoch,
    unpadded,
)
from dlkit.data.order import Sampler, epoch_order, share
from dlkit.data.prefetch import on_device
from dlkit.data.raw import Ragged
from dlkit.rng import AUGMENT, stream
from dlkit.types import Augmentation, Batch, Encoder, Spec


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
                parts = [function(batch.x) for batch in in_order(x, y, rows_of(x))]
            self._splits[name] = (torch.cat(parts) if isinstance(x, Tensor) else unpadded(parts), y)

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
                    batch = Batch(in_format_of(changed.x[own], batch.x), changed.y[own])
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
                yield Batch(gather(x, rows).unflatten(0, shape), y.index_select(0, rows).unflatten(0, shape))
                step += 1

    def eval(self, split: str) -> Iterator[Batch]:
        """Each example of a split once: in order and without copies; sequences by length, so that little is padded."""
        x, y = of_split(self._splits, split)
        rows = rows_of(x, by_length=not self._limit)  # the first few by length would all be the longest
        if self._limit:
            rows = rows[: sum(islice(sizes(x, rows, y.device), self._limit))]
        for batch in in_order(x, y, rows, self._part):
            yield Batch(self._encoded(batch.x), batch.y)

    def order(self, split: str) -> Tensor:
        """The rows of a split in the order of `eval`; of several processes those of this one."""
        x, _ = of_split(self._splits, split)
        return own_rows(x, rows_of(x, by_length=not self._limit), self._part)

    def examples(self, split: str, rows: Tensor) -> Batch:
        """The examples in these rows (n,), as `eval` gives them."""
        x, y = of_split(self._splits, split)
        where = rows.to(y.device)
        return Batch(x.padded(rows) if isinstance(x, Ragged) else self._encoded(gather(x, where)), y[where])

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
        return Batch(self._encoded(gather(x, chosen)), y.index_select(0, chosen))

    def _encoded(self, x: Tensor) -> Tensor:
        """Floats of images that are held as bytes."""
        return self.encoder.encode(x, x.device) if x.dtype is torch.uint8 else x
