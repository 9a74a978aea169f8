"""Made points: classes in the plane, or a noisy curve."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Literal

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.rng import SYNTHETIC, stream
from dlkit.types import NonNegative, NonNegativeInt, PositiveInt


def synthetic(
    *,
    name: Literal["blobs", "moons", "circles", "spirals", "sine", "line", "step"],
    examples: PositiveInt,
    noise: NonNegative,
    sample_seed: NonNegativeInt,
) -> Examples:
    """Points in the plane (N, 2) with their class, or places on a line (N, 1) with the noisy height of a curve (N, 1).

    All have about unit size; `noise` is the standard deviation of the Gaussian added to the points, or to the heights.
    """
    generator = stream(SYNTHETIC, sample_seed)
    position = torch.rand(examples, generator=generator)  # in [0, 1), along the shape
    if name in CURVES:
        x = (2 * position - 1).unsqueeze(1)
        y = CURVES[name](x) + noise * torch.randn(x.shape, generator=generator)
        return Examples("tabular", "regression", {"train": (x, y)})
    shape, classes = SHAPES[name]
    if examples < classes:
        raise ValueError(f"data.examples={examples}: {name} have {classes} classes, expected at least {classes}")
    y = torch.arange(examples) % classes  # as many of each
    x = torch.stack(shape(position, y), dim=1)
    x = x + noise * torch.randn(x.shape, generator=generator)
    return Examples("tabular", "classification", {"train": (x, y)})


def blobs(position: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Three points on the unit circle, spread by the noise alone."""
    return _polar(torch.ones_like(position), 2 * pi * y / 3)


def moons(position: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two half circles, each reaching into the other."""
    across, up = _polar(torch.ones_like(position), pi * position)
    return torch.where(y == 0, across, 1 - across), torch.where(y == 0, up, 0.5 - up)


def circles(position: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two circles about the origin, of radius 1 and 1/2."""
    return _polar(1 - y / 2, 2 * pi * position)


def spirals(position: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Three arms from the origin, each winding once and a quarter round it while its radius grows from 0.1 to 1."""
    return _polar(0.1 + 0.9 * position, 2 * pi * (y / 3 + 1.25 * position))


def _polar(radius: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return radius * angle.cos(), radius * angle.sin()


Shape = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # place along the shape (N,), class (N,) -> coordinates
SHAPES: dict[str, tuple[Shape, int]] = {
    "blobs": (blobs, 3),
    "moons": (moons, 2),
    "circles": (circles, 2),
    "spirals": (spirals, 3),
}
CURVES: dict[str, Callable[[Tensor], Tensor]] = {  # x in [−1, 1]
    "sine": lambda x: (pi * x).sin(),
    "line": lambda x: 0.5 + x,
    "step": lambda x: (x > 0).to(x.dtype),
}
