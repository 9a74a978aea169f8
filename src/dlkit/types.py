"""The contracts between the parts of dlkit. Read this page second, after configs/train.yaml.

A run is a pure function of its config: Hydra composes it, `build.py` makes the objects named by `_target_`,
and the trainer knows none of them by name. What the parts promise each other is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, runtime_checkable

from annotated_types import Ge, Gt, Interval, Le, Lt

if TYPE_CHECKING:  # the command line checks values against these annotations without paying for torch
    from torch import Tensor, nn

# Ranges of options. The preflight reads them from the signature of every `_target_` (cli/preflight/source.py).
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]  # [0, 1]
ProperFraction = Annotated[float, Ge(0), Lt(1)]  # [0, 1)
PositiveFraction = Annotated[float, Gt(0), Le(1)]  # (0, 1]
OpenFraction = Annotated[float, Gt(0), Lt(1)]  # (0, 1)
Degrees = Annotated[float, Interval(ge=0, le=180)]


@dataclass(frozen=True)
class Spec:
    """What the data promises the model, the loss and the reports."""

    kind: str  # "tabular" | "image" | "tokens" | "waveform"
    input_shape: tuple[int, ...]  # one example, no batch axis: (F,), (C, H, W), (T,)
    num_outputs: int  # classes, or regression targets
    task: str  # "classification" | "regression"
    classes: tuple[str, ...] = ()
    vocab_size: int | None = None
    vocabulary: tuple[str, ...] = ()  # the words of tokens 0 … vocab_size − 1, where tokens are words
    sample_rate: int | None = None  # Hz
    class_counts: tuple[int, ...] = ()  # of the training split, for class weights
    cardinalities: tuple[int, ...] = ()  # of the categorical columns of a table, which stand last, as codes
    target_mean: tuple[float, ...] = ()  # y holds (number − mean) / std where these are given
    target_std: tuple[float, ...] = ()


class Batch(NamedTuple):
    """Examples on the device, first axis B. The padding of sequences is marked in `x` itself: token 0, or NaN."""

    x: Tensor  # (B, …), as Spec.input_shape has it; sequences (B, T, …), T the longest of the batch
    y: Tensor  # classification: int64 (B,), or shares float (B, classes); regression: float (B, num_outputs)


class Encoder(Protocol):
    """Turns raw examples into `Batch.x`. Fitted on the training split; its state travels in every checkpoint."""

    def fit(self, raw: Any) -> None: ...

    def encode(self, raw: Any, device: Any = "cpu") -> Any:
        """Raw examples -> Tensor (B, …) or Ragged, on `device`."""
        ...

    def promises(self) -> dict[str, Any]:
        """Fields of the Spec that the encoder decides: kind, vocab_size, cardinalities, sample_rate …"""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Augmentation(Protocol):
    """Random changes to training batches, on the device."""

    def check(self, spec: Spec) -> None:
        """Raises ValueError where its options do not suit the data."""
        ...

    def __call__(self, batch: Batch, generator: Any, epoch: int) -> Batch:
        """The changed batch; all randomness comes from `generator`. `epoch` counts from 0.

        With an attribute `mixes` that is false it promises to change each example by itself: of several processes that
        stream files each then reads its own alone.
        """
        ...


class Data(Protocol):
    """A data set ready for training. Batch k is a pure function of (seed, k)."""

    spec: Spec
    steps_per_epoch: int
    batch_size: int
    split_sizes: dict[str, int]  # examples in "train", and in "val" and "test" where they exist
    encoder: Encoder
    notes: tuple[str, ...]  # what the user should see of the source: what was left out and why
    augment: Augmentation | None  # of the training batches

    def train(self, step: int) -> Iterator[Batch]:
        """Endless batches from global step `step` on."""
        ...

    def eval(self, split: str) -> Iterator[Batch]:
        """Each example of a split once; the last batch may be short."""
        ...

    def order(self, split: str) -> Tensor:
        """The rows (N,) of a split in the order in which `eval` gives them, on the CPU; of several processes this
        one's part."""
        ...

    def examples(self, split: str, rows: Tensor) -> Batch:
        """The examples in these rows (n,), encoded as `eval` gives them; sequences padded to the longest of them."""
        ...

    def raw(self, split: str, rows: Tensor) -> Any:
        """They as the source had them, on the CPU, before they were encoded (data/raw.py): pixels, waveforms, texts,
        cells. None where these are not kept: of what is in memory they are for "val" alone."""
        ...

    def targets(self, split: str) -> Tensor:
        """Targets of a split (N, …), on any device, as in the batches."""
        ...

    def lengths(self, split: str) -> Tensor | None:
        """Lengths int64 (N,) of a split's sequences, in tokens or samples, on the CPU; None where they have one length
        or are not known."""
        ...

    def share(self, number: int, of: int) -> None:
        """From now on gives only the part of every batch, and of every evaluation, that is process `number`'s of so
        many; of a split with fewer examples than processes each evaluates all."""
        ...

    def use_channels_last(self) -> None:
        """Gives images in channels_last memory format from now on."""
        ...

    def fingerprint(self) -> str:
        """A digest of the examples of all splits: equal for equal data."""
        ...


@runtime_checkable
class Loss(Protocol):
    """A loss owns the head (how wide the model's last layer is) and the link (outputs to probabilities).

    Made as `target(spec, **options)`; raises ValueError there where it does not suit the task.
    """

    outputs: int  # width of the model's last layer

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        """Loss per example: (B, outputs), targets -> (B,)."""
        ...

    def probabilities(self, out: Tensor) -> Tensor:
        """Class probabilities (B, classes); raises ValueError where the loss has none."""
        ...


Schedule = Callable[[float], float]  # optimiser steps (or epochs) done -> factor on each group's base learning rate
Init = Callable[["nn.Module", Batch], None]  # in place, once, before compile
Penalty = Callable[[Mapping[str, "Tensor"]], "Tensor"]  # weights by name -> scalar added to the loss
