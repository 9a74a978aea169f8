"""From raw examples to batches: `load` splits them, fits the encoder, and holds or streams them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from dlkit.data.audio.waves import Waves
from dlkit.data.examples import Examples
from dlkit.data.fitted import Fitted
from dlkit.data.order import Sampler, epoch_order
from dlkit.data.raw import Files, Ragged
from dlkit.data.reading.workers import sample
from dlkit.data.resident import ResidentData
from dlkit.data.scale import Scale
from dlkit.data.splits import divide, groups_told
from dlkit.data.streamed import StreamedData
from dlkit.data.tables.columns import Columns
from dlkit.data.text.tokens import Tokens
from dlkit.types import Data, Encoder, NonNegativeInt, PositiveInt, ProperFraction, Spec

ENCODERS: dict[str, Callable[[], Encoder]] = {"image": Scale, "tabular": Columns, "text": Tokens, "waveform": Waves}

# Images whose training split would take more than this as floats stay bytes on the device, a quarter of it, and each
# batch is encoded: 2-15 % of a step on a CPU.
FLOATS = 1 << 30
KEPT = 1 << 30  # bytes of raw validation examples that stay in memory, to be shown; of more none do


def load(
    examples: Examples,
    seed: int,
    device: torch.device | str,
    overfit_batches: int = 0,
    limit_batches: int = 0,
    trained: Fitted | None = None,
    *,
    encoder: Encoder | None = None,
    batch_size: PositiveInt | Literal["full"],
    val_fraction: ProperFraction,
    test_fraction: ProperFraction,
    split_seed: NonNegativeInt,
    fold: NonNegativeInt | None = None,
    folds: Annotated[int, Ge(2)] = 10,
    sampler: Sampler = "uniform",
    scale_target: bool = True,
    augment: Any = None,
) -> Data:
    """Split raw examples, fit the encoder on the training split, and put the encoded splits on `device`.

    Options after the star are those under `data:` of the config; before it stands what the run decides: `seed` of
    order and augmentation, `overfit_batches` (train on so many fixed batches) and `limit_batches` (at most so many
    batches an epoch and an evaluation), 0 is off; and, of data that a trained model is to see, what it was trained on:
    nothing is fitted then, and classes are told by name. Without an `encoder` it is the usual one of the kind of data,
    with its own defaults. Raises ValueError for options that do not suit the data.
    """
    if trained is not None:
        examples = trained.classed(examples)
    digest = examples.fingerprint()
    fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
    cut: dict[str, Any] = {**fractions, "seed": split_seed, "fold": fold, "folds": folds}
    raw = divide(examples, **cut)
    if sampler == "balanced" and examples.task != "classification":
        raise ValueError("data.sampler=balanced needs classes, but this data has numbers as targets")
    size = len(raw["train"][1])
    if batch_size == "full" or (trained is not None and batch_size > size):
        batch_size = size
    if trained is None:
        _check_batch_size(batch_size, size, overfit_batches)
    if overfit_batches:
        chosen = epoch_order(seed, 0, raw["train"][1], "uniform")
        chosen = chosen[: min(overfit_batches, size // batch_size) * batch_size]
        raw["train"] = (raw["train"][0][chosen], raw["train"][1][chosen])
    encoder = encoder or ENCODERS[examples.kind]()
    inputs = raw["train"][0]
    targets = {name: y for name, (_, y) in raw.items()}
    if trained is None:
        encoder.fit(sample(inputs, split_seed) if isinstance(inputs, Files) else inputs)
        spec = describe(examples, targets["train"])
        if scale_target and examples.task == "regression":
            spec = _with_unit(spec, targets["train"])
    else:
        encoder.load_state_dict(trained.encoder)
        spec = trained.spec
    if spec.target_std:
        targets = {name: _in_unit(y, spec) for name, y in targets.items()}
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "seed": seed,
        "augment": augment or None,
        "sampler": sampler,
        "limit_batches": limit_batches,
        "notes": examples.notes + groups_told(examples, **cut),
    }
    if any(isinstance(x, Files) for x, _ in raw.values()):
        files = {name: (x, targets[name]) for name, (x, _) in raw.items()}
        data: Data = StreamedData(spec, files, encoder, digest, device=device, **options)
    else:
        splits, kept = {}, {}
        as_bytes = isinstance(inputs, Tensor) and inputs.dtype is torch.uint8 and 4 * inputs.nbytes > FLOATS
        for name in list(raw):
            x, _ = raw.pop(name)  # popped, so that the raw copies that `divide` made go as they are encoded
            if name == "val" and _bytes(x) <= KEPT:
                kept[name] = x
            splits[name] = (x.to(device) if as_bytes else encoder.encode(x, device), targets[name].to(device))
        spec = replace(spec, input_shape=tuple(splits["train"][0].shape[1:]), **encoder.promises())
        data = ResidentData(spec, splits, encoder, digest, raw=kept, **options)
    if trained is not None:
        trained.check_shape(data.spec.input_shape)
        data.spec = trained.spec
    elif augment:
        augment.check(data.spec)
    return data


def _bytes(raw: Any) -> int:
    """Of what may be large: pixels and waveforms."""
    return getattr(raw.values if isinstance(raw, Ragged) else raw, "nbytes", 0)


def describe(examples: Examples, y: Tensor) -> Spec:
    """The Spec of a data set whose training targets are `y`, before its encoder has had its say."""
    if examples.task == "regression":
        return Spec(examples.kind, (), y.shape[1], examples.task, sample_rate=examples.sample_rate)
    return Spec(
        kind=examples.kind,
        input_shape=(),
        num_outputs=len(examples.classes),
        task=examples.task,
        classes=examples.classes,
        class_counts=tuple(torch.bincount(y, minlength=len(examples.classes)).tolist()),
        sample_rate=examples.sample_rate,
    )


def _with_unit(spec: Spec, y: Tensor) -> Spec:
    """The Spec with mean and deviation of the training targets (N, T)."""
    deviation, mean = torch.std_mean(y.double(), 0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return replace(spec, target_mean=tuple(mean.tolist()), target_std=tuple(deviation.tolist()))


def _in_unit(y: Tensor, spec: Spec) -> Tensor:
    """Targets (N, T) in units of the Spec's deviation from its mean."""
    mean, deviation = (torch.tensor(one, dtype=torch.float64) for one in (spec.target_mean, spec.target_std))
    return ((y - mean) / deviation).float()


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
