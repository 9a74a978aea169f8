"""Losses: `(spec, *, options) -> Loss`. A loss is per example, `(out (B, K), y) -> (B,)`, so that means over short
batches, ranks and replicas are exact. It owns the head (`outputs`: the width of the model's last layer) and the link
(`probabilities`).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dlkit.types import Fraction, Loss, Spec


class CrossEntropy:
    """Cross-entropy with the softmax of K logits, `−Σ_k p(k) ln softmax(out)_k`, in nats.

    `y` holds classes, int64 (B,), or distributions over the K classes, float (B, K).
    With label smoothing ε the target becomes `(1 − ε) p + ε/K` (Szegedy et al. 2016, section 7).
    """

    def __init__(self, spec: Spec, *, label_smoothing: Fraction = 0.0):
        if spec.task != "classification":
            raise ValueError("loss=cross_entropy needs classes, but this data has numbers as targets: try loss=mse")
        self.outputs = spec.num_outputs
        self.label_smoothing = label_smoothing

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y, reduction="none", label_smoothing=self.label_smoothing)

    def probabilities(self, out: Tensor) -> Tensor:
        return out.softmax(dim=-1)


class Mse:
    """Squared error, the mean over the outputs: `(1/K) Σ_k (out_k − y_k)²`. Classes are taken as one-hot vectors."""

    def __init__(self, spec: Spec):
        self.outputs = spec.num_outputs

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        if not y.is_floating_point():
            y = F.one_hot(y, out.shape[-1]).to(out.dtype)
        assert out.shape == y.shape, f"outputs {tuple(out.shape)} and targets {tuple(y.shape)} would broadcast"
        return (out - y).square().flatten(1).mean(1)

    def probabilities(self, out: Tensor) -> Tensor:
        raise ValueError("loss=mse gives no probabilities; train with loss=cross_entropy to have them")


def auto(spec: Spec) -> Loss:
    """The usual loss of a task: cross-entropy for classes, mean squared error for numbers."""
    return CrossEntropy(spec) if spec.task == "classification" else Mse(spec)
