"""Data read from files while the model trains: for sets that do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, tee
from typing import Any

import torch
from torch import Tensor

from dlkit.data.batches import eval_size, of_split, steps_in_epoch
from dlkit.data.order import Sampler, epoch_order, share, shared
from dlkit.data.prefetch import aside, prefetched
from dlkit.data.raw import Ragged
from dlkit.data.reading.workers import read_batches
from dlkit.rng import AUGMENT, stream
from dlkit.types import Augmentation, Batch, Encoder, Spec


class StreamedData:
    """Splits of `Files` (or of examples in memory), read by worker processes, encoded and augmented on the device.

    Batch k is a pure function of (seed, k), the same as of `ResidentData`, whatever the number of workers: what is in a
    batch is decided in this process, and workers only read. They start with the second batch, so that a look at the
    first costs no processes, and end with the iterator. What a store keeps decoded is taken from there, bit for bit
    the same; once it has all, there are no workers (reading/workers.py).
    """

    def __init__(
        self,
        spec: Spec,
        files: dict[str, tuple[Any, Tensor]],
        encoder: Encoder,
        digest: str,
        *,
        device: torch.device | str,
        batch_size: int,
        seed: int,
        augment: Augmentation | None = None,
        sampler: Sampler = "uniform",
        limit_batches: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.encoder, self.batch_size, self.augment, self.notes = encoder, batch_size, augment, notes
        self.split_sizes = {name: len(y) for name, (_, y) in files.items()}
        self.steps_per_epoch = steps_in_epoch(self.split_sizes["train"], batch_size, limit_batches)
        self._device, self._digest, self._seed, self._limit = torch.device(device), digest, seed, limit_batches
        self._sampler, self._stream = sampler, aside(self._device)
        self._part = (0, 1)  # which process this is, of how many
        self._labels = files["train"][1]
        self._splits = {name: (x, y.to(self._device)) for name, (x, y) in files.items()}
        self._format = torch.contiguous_format
        one = self._encoded(next(read_batches(files["train"][0], iter([torch.tensor([0])]), start_late=True)))
        self._bytes = one.nbytes
        self.spec = replace(spec, input_shape=tuple(one.shape[1:]), **encoder.promises())

    def fingerprint(self) -> str:
        """A digest of names and sizes of the files of all splits."""
        return self._digest

    def targets(self, split: str) -> Tensor:
        """Targets of a split in its order, on the device."""
        return self._splits[split][1]

    def lengths(self, split: str) -> None:
        """None: only reading all files would tell."""

    def share(self, number: int, of: int) -> None:
        """From now on gives only the part of every batch and evaluation that is process `number`'s of so many.

        Only this part is read, but where the augmentation mixes examples. Random changes are made to a batch of full
        size, the others' examples 0, before it is cut, so they are what they are in a single process.
        """
        self._part = (number, of)

    def use_channels_last(self) -> None:
        """Gives images in channels_last memory format from now on."""
        if len(self.spec.input_shape) == 3:
            self._format = torch.channels_last

    def train(self, step: int) -> Iterator[Batch]:
        """Endless batches from global step `step` on."""
        return prefetched(self._train(step), self._stream)

    def eval(self, split: str) -> Iterator[Batch]:
        """Each example of a split once, in order; the last batch may be short."""
        return prefetched(self._eval(split), self._stream)

    def _train(self, step: int) -> Iterator[Batch]:
        x, y = self._splits["train"]
        orders = tee(self._plan(step))  # one for the batches' targets, one for those who read
        pin = self._device.type == "cuda"
        own = share(self.batch_size, *self._part)
        mixes = self.augment is not None and getattr(self.augment, "mixes", True)  # who does not say may do so
        read = slice(0, self.batch_size) if mixes else own
        plan = (chosen[read] for chosen in orders[1])
        for chosen, raw in zip(orders[0], read_batches(x, plan, pin=pin, start_late=True), strict=True):
            batch = self._batch(raw, y, chosen[read])
            if self.augment is not None:
                whole = Batch(_in_place(batch.x, read, self.batch_size), _in_place(batch.y, read, self.batch_size))
                changed = self.augment(whole, stream(AUGMENT, self._seed, step), step // self.steps_per_epoch)
                batch = Batch(self._formatted(changed.x[own]), changed.y[own])
            yield batch
            step += 1

    def _eval(self, split: str) -> Iterator[Batch]:
        x, y = of_split(self._splits, split)
        size = eval_size(self._bytes, self._device)
        rows = torch.arange(min(len(y), size * self._limit) if self._limit else len(y))
        parts = rows[shared(len(rows), *self._part)].split(size)
        for chosen, raw in zip(parts, read_batches(x, iter(parts), pin=self._device.type == "cuda"), strict=True):
            yield self._batch(raw, y, chosen)

    def order(self, split: str) -> Tensor:
        """The rows of a split in the order of `eval`: as they are; of several processes those of this one."""
        rows = torch.arange(len(of_split(self._splits, split)[1]))
        return rows[shared(len(rows), *self._part)]

    def examples(self, split: str, rows: Tensor) -> Batch:
        """The examples in these rows (n,), as `eval` gives them. They are read here, without workers."""
        return self._batch(self.raw(split, rows), self._splits[split][1], rows)

    def raw(self, split: str, rows: Tensor) -> Any:
        """The raw examples in these rows (n,), read here: a Tensor, or Ragged where lengths differ."""
        return next(read_batches(of_split(self._splits, split)[0], iter([rows]), start_late=True))

    def _plan(self, step: int) -> Iterator[Tensor]:
        """The indices (B,) of each batch from `step` on."""
        full = self.batch_size == len(self._labels) and self._sampler == "uniform"
        while True:
            epoch, first = divmod(step, self.steps_per_epoch)
            # Of the whole split the order changes nothing.
            order = torch.arange(len(self._labels)) if full else self._order(epoch)
            yield from islice(order.split(self.batch_size), first, self.steps_per_epoch)
            step += self.steps_per_epoch - first

    def _order(self, epoch: int) -> Tensor:
        return epoch_order(self._seed, epoch, self._labels, self._sampler)

    def _batch(self, raw: Any, y: Tensor, chosen: Tensor) -> Batch:
        # non_blocking: no sync; the copy of memory that is not pinned is finished when the call returns
        return Batch(self._encoded(raw), y.index_select(0, chosen.to(self._device, non_blocking=True)))

    def _encoded(self, raw: Any) -> Tensor:
        if isinstance(raw, Tensor):
            raw = raw.to(self._device, non_blocking=True)
        encoded = self.encoder.encode(raw, self._device)
        if isinstance(encoded, Ragged):
            encoded = encoded.padded(torch.arange(len(encoded)))
        return self._formatted(encoded)

    def _formatted(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=self._format)


def _in_place(own: Tensor, rows: slice, count: int) -> Tensor:
    """The rows where they belong among so many, the others 0."""
    if len(own) == count:
        return own
    whole = own.new_zeros(count, *own.shape[1:])
    whole[rows] = own
    return whole
