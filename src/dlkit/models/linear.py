"""Linear models: which one it is, the loss and the regulariser say."""

from __future__ import annotations

from math import prod

from torch import nn

from dlkit.models.embedded import needs_numbers
from dlkit.models.fit import needs_dense
from dlkit.types import Spec


def linear(spec: Spec, outputs: int) -> nn.Module:
    """One linear layer `Wx + b` on the flattened example.

    With the squared error it is linear regression, with a penalty besides ridge regression or the lasso; with the
    hinge loss and `γ Σ w²` the linear support vector machine; with the loss `(−M)₊` Rosenblatt's perceptron.
    """
    needs_dense("a linear model", spec)
    needs_numbers("a linear model", spec)
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(spec.input_shape), outputs))


def logreg(spec: Spec, outputs: int) -> nn.Module:
    """Logistic regression: a linear model; the loss brings the sigmoid or the softmax."""
    return linear(spec, outputs)
