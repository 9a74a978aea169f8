"""What a model's outputs say: classes, probabilities, numbers in their own unit, and which of them are worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.types import Loss, Spec

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
Classes = NDArray[np.integer]
Row = dict[str, Any]

COUNT = 25  # of the worst


def predicted_classes(scores: Array) -> Classes:
    """The class that scores stand for, (N, K) -> (N,): the largest; of a single one (N, 1) the second where it is
    positive."""
    predicted: Classes = (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(1)
    return predicted


def probabilities(loss: Loss, out: Tensor) -> Tensor | None:
    """Of the classes (N, K), where the loss has a link."""
    try:
        return loss.probabilities(out)
    except ValueError:  # a loss of margins says so
        return None


def in_own_unit(spec: Spec, numbers: Tensor) -> Tensor:
    """Numbers (N, T) in the unit of the loss -> float64 in the target's own."""
    wide = numbers.double()
    if not spec.target_std:
        return wide
    return wide * wide.new_tensor(spec.target_std) + wide.new_tensor(spec.target_mean)


def worst_classes(
    y: Classes, scores: Array, probabilities: Array | None, classes: tuple[str, ...], *, count: int = COUNT
) -> list[Row]:
    """The wrong answers, the surest first: by the probability of the predicted class, then that of the true one.

    Takes what `figures.classification` takes. Without probabilities by "margin", how much higher the predicted class
    scores than the true one. "index" counts the examples given, from 0. Fewer rows where fewer answers are wrong.
    """
    predicted = predicted_classes(scores)
    wrong = np.flatnonzero(predicted != y)
    own, other = y[wrong], predicted[wrong]
    figures: dict[str, Array]
    if probabilities is not None:
        sure, true = probabilities[wrong, other], probabilities[wrong, own]
        figures, order = {"p_predicted": sure, "p_true": true}, np.lexsort((true, -sure))
    else:
        each = np.concatenate([-scores, scores], 1) / 2 if scores.shape[1] == 1 else scores  # one logit is a difference
        margin = each[wrong, other] - each[wrong, own]
        figures, order = {"margin": margin}, np.argsort(-margin, kind="stable")
    return [
        {"index": int(wrong[i]), "true": classes[own[i]], "predicted": classes[other[i]]}
        | {name: float(values[i]) for name, values in figures.items()}
        for i in order[:count].tolist()
    ]


def worst_numbers(y: Array, out: Array, *, count: int = COUNT) -> list[Row]:
    """The largest errors of `out` to `y`, both (N, T); of each example that of its worst target.

    Targets are compared by "deviations", |error| over the standard deviation of the target's true numbers (over 1 where
    it does not vary). "target" counts from 0 and is there where T > 1.
    """
    spread = y.std(0)
    far = np.abs(out - y) / np.where(spread > 0, spread, 1)
    target = far.argmax(1)
    largest = far[np.arange(len(far)), target]
    rows: list[Row] = []
    for i in np.argsort(-largest, kind="stable")[:count].tolist():
        t = int(target[i])
        row: Row = {"index": i} | ({"target": t} if y.shape[1] > 1 else {})
        numbers = {"true": y[i, t], "predicted": out[i, t], "error": out[i, t] - y[i, t], "deviations": largest[i]}
        rows.append(row | {name: float(number) for name, number in numbers.items()})
    return rows
