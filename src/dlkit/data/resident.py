"""Data that lives on the device: `load` splits and encodes raw examples, and a batch is one gather."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.data.scale import Scale
from dlkit.data.splits import divide
from dlkit.rng import AUGMENT, ORDER, stream
from dlkit.types import Batch, NonNegativeInt, PositiveInt, ProperFraction, Spec

# An evaluation batch: at most so many examples, and so many bytes of inputs. On a CPU smaller ones stay near the caches
# (a CNN on MNIST: 250 take half the time of 1000 with the C library's own allocator, the same with ours).
EVAL_EXAMPLES = 1000
EVAL_BYTES_CPU, EVAL_BYTES = 1 << 20, 32 << 20


def load(
    examples: Examples,
    seed: int,
    device: torch.device | str,
    overfit_batches: int = 0,
    limit_batches: int = 0,
    *,
    batch_size: PositiveInt | Literal["full"],
    val_fraction: ProperFraction,
    test_fraction: ProperFraction,
    split_seed: NonNegativeInt,
    normalize: Literal["none", "standardize", "minmax"],
    augment: Any = None,
) -> ResidentData:
    """Split raw examples, fit the encoder on the training split, and put the encoded splits on `device`.

    Options after the star are those under `data:` of the config; before it stands what the run decides: `seed` of
    order and augmentation, `overfit_batches` (train on so many fixed batches) and `limit_batches` (at most so many
    batches an epoch and an evaluation); 0 is off. Raises ValueError for options that do not suit the data.
    """
    digest = examples.fingerprint()
    raw = divide(examples, val_fraction=val_fraction, test_fraction=test_fraction, seed=split_seed)
    spec = describe(examples, raw["train"][1])
    if augment:
        augment.check(spec)
    size = len(raw["train"][1])
    batch_size = size if batch_size == "full" else batch_size
    _check_batch_size(batch_size, size, overfit_batches)
    if overfit_batches:
        raw["train"] = _first_batches(*raw["train"], batch_size, overfit_batches, seed)
    encoder = Scale.fit(raw["train"][0], normalize)
    splits = {}
    for name in list(raw):
        x, y = raw.pop(name)  # popped, so that no more raw data is kept than is still to be encoded
        splits[name] = Batch(encoder.encode(x.to(device)), y.to(device))
    return ResidentData(spec, splits, encoder, digest, batch_size, seed, augment or None, limit_batches)


class ResidentData:
    """Encoded splits on the device; batch k is a pure function of (seed, k).

    In training an epoch is one random permutation, cut into batches of `batch_size`; a short last one is dropped.
    """

    def __init__(
        self,
        spec: Spec,
        splits: dict[str, Batch],
        encoder: Scale,
        digest: str,
        batch_size: int,
        seed: int,
        augment: Any,
        limit_batches: int,
    ) -> None:
        self.spec = spec
        self.encoder = encoder
        self.batch_size = batch_size
        self.augment = augment
        self.split_sizes = {name: len(split.y) for name, split in splits.items()}
        self.steps_per_epoch = self.split_sizes["train"] // batch_size
        if limit_batches:
            self.steps_per_epoch = min(self.steps_per_epoch, limit_batches)
        self._splits, self._digest, self._seed, self._limit = splits, digest, seed, limit_batches

    def fingerprint(self) -> str:
        """A digest of the raw examples of all splits: the same data, the same letters."""
        return self._digest

    def use_channels_last(self) -> None:
        """Holds images in channels_last memory format, so that batches come out so. For models that convolve."""
        for name, (x, y) in self._splits.items():
            if x.dim() == 4:
                self._splits[name] = Batch(x.to(memory_format=torch.channels_last), y)

    def train(self, step: int) -> Iterator[Batch]:
        """Endless batches from global step `step` on."""
        while True:
            epoch, first = divmod(step, self.steps_per_epoch)
            order = self._order(epoch)
            for position in range(first, self.steps_per_epoch):
                batch = self._batch(order, position)
                if self.augment is not None:
                    changed = self.augment(batch.x, stream(AUGMENT, self._seed, step))
                    # Sampling kernels may answer in another memory format; a no-op where they did not.
                    batch = Batch(_like(changed, batch.x), batch.y)
                yield batch
                step += 1

    def eval(self, split: str) -> Iterator[Batch]:
        """One pass over a split, in order, without copies; the last batch may be short."""
        if split not in self._splits:
            raise ValueError(f"no {split} split: there are {', '.join(self._splits)} (data.{split}_fraction makes one)")
        x, y = self._splits[split]
        budget = EVAL_BYTES_CPU if x.device.type == "cpu" else EVAL_BYTES
        size = max(1, min(EVAL_EXAMPLES, budget // x[0].nbytes))
        starts = range(0, len(y), size)
        for start in starts[: self._limit or len(starts)]:
            yield Batch(x[start : start + size], y[start : start + size])

    def _order(self, epoch: int) -> Tensor:
        """Indices of an epoch, on the device. Drawn on the CPU: the same on every device, one copy an epoch."""
        x, y = self._splits["train"]
        return torch.randperm(len(y), generator=stream(ORDER, self._seed, epoch)).to(x.device)

    def _batch(self, order: Tensor, position: int) -> Batch:
        """Batch number `position` of an epoch."""
        x, y = self._splits["train"]
        if self.batch_size == len(y):  # the whole split: the order within a batch changes nothing
            return Batch(x, y)
        chosen = order[position * self.batch_size : (position + 1) * self.batch_size]
        return Batch(_gather(x, chosen), y.index_select(0, chosen))


def describe(examples: Examples, y: Tensor) -> Spec:
    """The Spec of a data set whose training targets are `y`."""
    shape = tuple(examples.splits["train"][0].shape[1:])
    if examples.task == "regression":
        return Spec(examples.kind, shape, y.shape[1], examples.task)
    return Spec(
        kind=examples.kind,
        input_shape=shape,
        num_outputs=len(examples.classes),
        task=examples.task,
        classes=examples.classes,
        class_counts=tuple(torch.bincount(y, minlength=len(examples.classes)).tolist()),
    )


def _check_batch_size(batch_size: int, size: int, overfit_batches: int) -> None:
    """Refuse a batch larger than the training split; warn of what is left out of an epoch or cannot be had."""
    if batch_size > size:
        raise ValueError(
            f"data.batch_size={batch_size} is larger than the training split ({size:,} examples): "
            f"at most {size}, or data.batch_size=full"
        )
    batches, rest = divmod(size, batch_size)
    if overfit_batches > batches:
        message = (
            f"trainer.overfit_batches={overfit_batches} is more than the {batches} batches of an epoch: all are used"
        )
        warnings.warn(message, stacklevel=3)
    elif rest > 0.05 * size and not overfit_batches:
        message = f"data.batch_size={batch_size} leaves {rest} of the {size:,} training examples out of each epoch"
        warnings.warn(f"{message} ({rest / size:.0%}, others each time): the short last batch is dropped", stacklevel=3)


def _first_batches(x: Tensor, y: Tensor, batch_size: int, batches: int, seed: int) -> tuple[Tensor, Tensor]:
    """The examples of the first `batches` batches of epoch 0."""
    order = torch.randperm(len(y), generator=stream(ORDER, seed, 0))
    chosen = order[: min(batches, len(y) // batch_size) * batch_size]
    return x[chosen], y[chosen]


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
