"""Data sets: functions that `conf/data/*.yaml` name; each returns raw `Examples`, and dlkit does the rest."""

from __future__ import annotations

from math import pi
from typing import Annotated

import torch
from annotated_types import Ge

from dlkit.data import Examples
from dlkit.types import NonNegative, PositiveInt


def rings(*, rings: Annotated[int, Ge(2)], examples: PositiveInt, noise: NonNegative) -> Examples:
    """Points (N, 2) at distance 1, 2, … from the origin, plus noise, with the number of their ring, int64 (N,).

    Splits are cut by dlkit where only "train" is given; put "val" and "test" beside it where the set has them. Texts,
    images, recordings and tables with words work alike: see `dlkit.data.Examples`.
    """
    generator = torch.Generator().manual_seed(0)  # the same points whatever the seed of the run
    y = torch.arange(examples) % rings
    angle = 2 * pi * torch.rand(examples, generator=generator)
    distance = y + 1 + noise * torch.randn(examples, generator=generator)
    x = torch.stack([distance * angle.cos(), distance * angle.sin()], dim=1)
    return Examples(
        "tabular", "classification", {"train": (x, y)}, classes=tuple(f"ring {k + 1}" for k in range(rings))
    )
