"""Linear models."""

from __future__ import annotations

from math import prod

from torch import nn

from dlkit.models.fit import needs_dense
from dlkit.types import Spec


def logreg(spec: Spec, outputs: int) -> nn.Module:
    """Logistic regression: one linear layer `Wx + b` on the flattened example; the loss brings the softmax."""
    needs_dense("logreg", spec)
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(spec.input_shape), outputs))
