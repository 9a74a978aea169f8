"""The worst errors of a trained model, as rows of a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkit.evaluation.figures import Array, Classes, predicted_classes

COUNT = 25
Row = dict[str, Any]


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


def write_csv(
    path: Path, rows: list[Row], *, names: Sequence[str] | None = None, texts: Sequence[str] | None = None
) -> None:
    """Writes the rows, UTF-8; `names` (where each comes from) and `texts` are parallel to them. No rows: an empty
    table."""
    columns: dict[str, Sequence[Any]] = {"name": names} if names is not None else {}
    columns |= {key: [row[key] for row in rows] for key in (rows[0] if rows else ("index", "true", "predicted"))}
    columns |= {"text": texts} if texts is not None else {}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
