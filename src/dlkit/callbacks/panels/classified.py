"""Panels of classes: which are taken for which, how precise and how complete, and whether what is sure is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlkit.answers import Array, Classes, predicted_classes, probabilities
from dlkit.calibration import reliability_bins
from dlkit.callbacks.panels.panel import Board, Panel, answers
from dlkit.plots.cells import cells
from dlkit.plots.matrix import COUNTED, confusion
from dlkit.plots.reliability import reliability
from dlkit.plots.style import png
from dlkit.state import State
from dlkit.types import PositiveInt

THRESHOLDS = 127  # of a curve: as many as TensorBoard's format takes


@dataclass(frozen=True)
class Classified:
    """Answers to the N examples of an evaluation."""

    y: Classes  # true classes (N,)
    predicted: Classes  # (N,)
    p: Array | None  # probabilities (N, K), where the loss gives any


def classified(state: State) -> Classified | None:
    """The answers of the evaluation just made; None for numbers, and where none were kept."""
    found = answers(state)
    if found is None or state.spec.task != "classification":
        return None
    assert state.measure is not None, "only a run that was built is measured"
    out, y = found
    if not out.isfinite().all():  # a run without guard goes on
        return None
    p = probabilities(state.measure.loss, out.double())
    true = (y.argmax(1) if y.ndim > 1 else y).numpy()
    return Classified(true, predicted_classes(out.double().numpy()), None if p is None else p.numpy())


class Confusion(Panel):
    """The confusion matrix of the validation split as an image, `val/confusion`. Silent for numbers as targets."""

    wants_outputs = True

    def draw(self, state: State, board: Board) -> None:
        if found := classified(state):
            counts = confusion_matrix(found.y, found.predicted, len(state.spec.classes))
            few = len(counts) <= COUNTED
            picture = cells(counts, state.spec.classes) if few else png(confusion(counts, state.spec.classes))
            board.picture("val/confusion", picture, state.step)


class Reliability(Panel):
    """The reliability diagram of the validation split as an image, `val/reliability`: accuracy against confidence.

    Silent for numbers as targets, and with losses that give no probabilities.
    """

    wants_outputs = True

    def draw(self, state: State, board: Board) -> None:
        found = classified(state)
        if found and found.p is not None:
            bins = reliability_bins(found.p.max(1), found.predicted == found.y)
            board.picture("val/reliability", png(reliability(*bins)), state.step)


class PrCurves(Panel):
    """Precision against recall of each class, one against the rest, on the validation split: `pr_curve/<class>`.

    Of more than `classes` those with the lowest average precision at that step; of two the second. Silent for numbers
    as targets, and with losses that give no probabilities.
    """

    wants_outputs = True

    def __init__(self, *, classes: PositiveInt = 10):
        self.classes = classes

    def draw(self, state: State, board: Board) -> None:
        found = classified(state)
        if not found or found.p is None:
            return
        curves = pr_curves(found.y, found.p)
        both = (curves[:, 0, 0] > 0) & (curves[:, 1, 0] > 0)  # has examples on both sides
        if curves.shape[0] == 2:
            both[0] = False
        chosen = np.flatnonzero(both)
        chosen = chosen[average_precision(curves[chosen]).argsort(kind="stable")][: self.classes]
        for label in sorted(chosen.tolist()):
            name = f"pr_curve/{state.spec.classes[label]}"
            board.writer.add_pr_curve_raw(name, *curves[label], state.step, THRESHOLDS)


def confusion_matrix(y: Classes, predicted: Classes, classes: int) -> NDArray[np.int64]:
    """Counts (K, K), rows true classes."""
    return np.bincount(y * classes + predicted, minlength=classes**2).reshape(classes, classes)


def pr_curves(y: Classes, p: Array) -> Array:
    """Of probabilities (N, K), for each class and threshold t_i = i/(T − 1), T = `THRESHOLDS`, (K, 6, T):

    true and false positives, true and false negatives, precision and recall, where `p ≥ t` is taken for positive.
    Precision is 0 where nothing is.
    """
    classes = p.shape[1]
    bins = np.floor(p * (THRESHOLDS - 1)).astype(np.int64) + THRESHOLDS * np.arange(classes)  # (N, K)
    shape = (classes, THRESHOLDS)
    everyone = np.bincount(bins.ravel(), minlength=classes * THRESHOLDS).reshape(shape)
    own = np.bincount(bins[np.arange(len(y)), y], minlength=classes * THRESHOLDS).reshape(shape)
    positive, true = (counts[:, ::-1].cumsum(1)[:, ::-1] for counts in (everyone, own))
    false, misses = positive - true, true[:, :1] - true
    rejected = (positive - true)[:, :1] - false
    precision, recall = true / np.maximum(positive, 1), true / np.maximum(true[:, :1], 1)
    return np.stack([true, false, rejected, misses, precision, recall], 1).astype(np.float64)


def average_precision(curves: Array) -> Array:
    """`Σ_i (R_i − R_{i+1}) P_i` of each curve, (K, 6, T) -> (K,)."""
    precision, recall = curves[:, 4], curves[:, 5]
    steps = recall - np.pad(recall[:, 1:], ((0, 0), (0, 1)))
    found: Array = (steps * precision).sum(1)
    return found
