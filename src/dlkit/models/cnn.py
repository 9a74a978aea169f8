"""The convolutional network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from dlkit.models.activations import Activation, activated
from dlkit.models.fit import needs_halving, needs_image
from dlkit.types import Fraction, PositiveInt, Spec


def cnn(
    spec: Spec,
    outputs: int,
    *,
    channels: Sequence[PositiveInt] = (32, 64),
    kernel_size: PositiveInt = 3,
    hidden: Sequence[PositiveInt] = (128,),
    activation: Activation = "relu",
    dropout: Fraction = 0.0,
    batch_norm: bool = False,
) -> nn.Module:
    """(Conv – φ – Pool) × n, then dense layers: `channels` and `hidden` give the widths of each.

    Convolutions keep the size (padding k//2, so k is odd), 2×2 max-pooling halves it. Dropout acts before each dense
    layer. Raises ValueError where the images are too small to be halved once for each of `channels`.
    """
    needs_image("model=cnn", spec)
    needs_halving(spec, channels, kernel_size)
    depth, height, width = spec.input_shape
    layers: list[nn.Module] = []
    for size in channels:
        conv = partial(nn.Conv2d, depth, kernel_size=kernel_size, padding=kernel_size // 2, bias=not batch_norm)
        layers += activated(conv, size, activation, nn.BatchNorm2d if batch_norm else None)
        layers.append(nn.MaxPool2d(2))
        depth, height, width = size, height // 2, width // 2
    layers.append(nn.Flatten())
    features = depth * height * width
    for size in hidden:
        layers += [*_dropout(dropout), *activated(partial(nn.Linear, features), size, activation)]
        features = size
    return nn.Sequential(*layers, *_dropout(dropout), nn.Linear(features, outputs))


def _dropout(p: float) -> list[nn.Module]:
    return [nn.Dropout(p)] if p else []
