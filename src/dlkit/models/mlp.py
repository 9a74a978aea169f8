"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from torch import nn

from dlkit.models.activations import Activation, activated
from dlkit.models.fit import needs_dense
from dlkit.types import Fraction, PositiveInt, Spec


def mlp(
    spec: Spec,
    outputs: int,
    *,
    hidden: Sequence[PositiveInt] = (256, 128),
    activation: Activation = "relu",
    dropout: Fraction = 0.0,
    batch_norm: bool = False,
) -> nn.Module:
    """Linear layers with an activation between them: any depth and width.

    Each hidden layer is `dropout(φ(norm(Wx + b)))`, the norm only if `batch_norm`. The input is flattened.
    """
    needs_dense("model=mlp", spec)
    layers: list[nn.Module] = [nn.Flatten()]
    width = prod(spec.input_shape)
    for size in hidden:
        dense = partial(nn.Linear, width, bias=not batch_norm)
        layers += activated(dense, size, activation, nn.BatchNorm1d if batch_norm else None)
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs))
