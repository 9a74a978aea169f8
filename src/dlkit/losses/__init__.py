"""Losses: `(spec, *, options) -> Loss`. A loss is per example, `(out (B, K), y) -> (B,)`, so that means over short
batches, ranks and replicas are exact. It owns the head (`outputs`: the width of the model's last layer) and the link
(`probabilities`).
"""

from __future__ import annotations

from dlkit.losses.classification import BinaryCrossEntropy, CrossEntropy, Focal
from dlkit.losses.margin import (
    Margin,
    exponential,
    hinge,
    logistic,
    margin_quadratic,
    margin_sigmoid,
    perceptron,
)
from dlkit.losses.regression import Huber, Mae, Mse
from dlkit.types import Loss, Spec

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Focal",
    "Huber",
    "Mae",
    "Margin",
    "Mse",
    "auto",
    "exponential",
    "hinge",
    "logistic",
    "margin_quadratic",
    "margin_sigmoid",
    "perceptron",
]


def auto(spec: Spec) -> Loss:
    """The usual loss of a task: cross-entropy for classes, mean squared error for numbers."""
    return CrossEntropy(spec) if spec.task == "classification" else Mse(spec)
