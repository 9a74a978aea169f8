"""Images as sequences: convolutions, then a recurrent network that reads the columns from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dlkit.models.fit import needs_halving, needs_image
from dlkit.models.sequence import Cell, Pool, Recurrent
from dlkit.types import Fraction, PositiveInt, Spec


class Columns(nn.Module):
    """Recurrent layers over the columns of (B, C, H, W), a step a column of C·H numbers; pooled to (B, width)."""

    def __init__(self, recurrent: Recurrent, pool: Pool) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1, 2).transpose(1, 2)
        lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        return self.pool(self.recurrent(x, lengths), lengths)


def cnn_rnn(
    spec: Spec,
    outputs: int,
    *,
    channels: Sequence[PositiveInt] = (32, 64),
    kernel_size: PositiveInt = 3,
    batch_norm: bool = False,
    cell: Cell = "lstm",
    units: PositiveInt = 128,
    layers: PositiveInt = 1,
    bidirectional: bool = True,
    pooling: Literal["last", "mean"] = "last",
    dropout: Fraction = 0.0,
) -> nn.Module:
    """(Conv – norm – ReLU – Pool) × n, then recurrent layers over the columns of what is left, pooling, a linear layer.

    Convolutions keep the size (padding k//2, so k is odd), 2×2 max-pooling halves it. Dropout acts between recurrent
    layers and before the last layer. Raises ValueError where the images are too small to be halved so often.
    """
    needs_image("model=cnn_rnn", spec)
    needs_halving(spec, channels, kernel_size)
    depth, height, _ = spec.input_shape
    blocks: list[nn.Module] = []
    for size in channels:
        blocks.append(nn.Conv2d(depth, size, kernel_size, padding=kernel_size // 2, bias=not batch_norm))
        blocks += [*([nn.BatchNorm2d(size)] if batch_norm else []), nn.ReLU(), nn.MaxPool2d(2)]
        depth, height = size, height // 2
    recurrent = Recurrent(cell, depth * height, units, layers, bidirectional, dropout)
    pool = Pool(pooling, recurrent.width, bidirectional)
    before = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*blocks, Columns(recurrent, pool), *before, nn.Linear(recurrent.width, outputs))
