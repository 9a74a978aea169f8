"""Errors of numbers: targets (B, K), the mean over the K outputs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dlkit.losses.targets import needs_numbers, shares
from dlkit.types import Positive, Spec


class Mse:
    """Squared error, `(1/K) Σ_k (out_k − y_k)²`. Classes are taken as one-hot vectors, one output a class."""

    def __init__(self, spec: Spec):
        self.outputs = spec.num_outputs

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        y = y if y.is_floating_point() else shares(out, y)
        return _error(out, y).square().flatten(1).mean(1)

    def probabilities(self, out: Tensor) -> Tensor:
        raise ValueError("loss=mse gives no probabilities; train with loss=cross_entropy to have them")


class Mae:
    """Absolute error, `(1/K) Σ_k |out_k − y_k|`: fits the median, so outliers pull less than under mse."""

    def __init__(self, spec: Spec):
        needs_numbers("mae", spec)
        self.outputs = spec.num_outputs

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        return _error(out, y).abs().flatten(1).mean(1)

    def probabilities(self, out: Tensor) -> Tensor:
        raise ValueError("loss=mae gives no probabilities: its targets are numbers")


class Huber:
    """`e²/2` where `|e| ≤ δ`, else `δ (|e| − δ/2)`, `e = out_k − y_k`, the mean over k (Huber 1964).

    δ is in the target's unit.
    """

    def __init__(self, spec: Spec, *, delta: Positive = 1.0):
        needs_numbers("huber", spec)
        self.outputs, self.delta = spec.num_outputs, delta

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        _error(out, y)
        return F.huber_loss(out, y, reduction="none", delta=self.delta).flatten(1).mean(1)

    def probabilities(self, out: Tensor) -> Tensor:
        raise ValueError("loss=huber gives no probabilities: its targets are numbers")


def _error(out: Tensor, y: Tensor) -> Tensor:
    assert out.shape == y.shape, f"outputs {tuple(out.shape)} and targets {tuple(y.shape)} would broadcast"
    return out - y
