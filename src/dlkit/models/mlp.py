"""The multilayer perceptron."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from math import prod

from torch import nn

from dlkit.models.activations import Activation, activated
from dlkit.models.embedded import Embedded, embedded
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
    embedding: PositiveInt | None = None,
) -> nn.Module:
    """Linear layers with an activation between them: any depth and width.

    Each hidden layer is `dropout(φ(norm(Wx + b)))`, the norm only if `batch_norm`. The input is flattened; a
    table's categories that come as codes become vectors of width `embedding` first (null: `min(50, (n + 1) // 2)`).
    """
    needs_dense("model=mlp", spec)
    if embedding and not spec.cardinalities:
        warnings.warn(
            "model.embedding has no effect: no categories come as codes (data.categories=embed)", stacklevel=2
        )
    first = embedded(spec, embedding) if spec.cardinalities else nn.Flatten()
    layers: list[nn.Module] = [first]
    width = first.width if isinstance(first, Embedded) else prod(spec.input_shape)
    for size in hidden:
        dense = partial(nn.Linear, width, bias=not batch_norm)
        layers += activated(dense, size, activation, nn.BatchNorm1d if batch_norm else None)
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, outputs))
