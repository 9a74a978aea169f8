"""The first module for tables with categories: learnt vectors in the place of codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlkit.types import PositiveInt, Spec

LARGEST = 50  # of the vectors whose width is not given


class Embedded(nn.Module):
    """(B, F), the last K columns codes -> (B, `width`): the numbers as they are, then a vector for each code.

    Without a width for the vectors a column of n codes gets `min(50, (n + 1) // 2)`.
    """

    def __init__(self, inputs: int, cardinalities: tuple[int, ...], width: PositiveInt | None = None) -> None:
        super().__init__()
        widths = [width or min(LARGEST, (count + 1) // 2) for count in cardinalities]
        self.numbers = inputs - len(cardinalities)
        self.tables = nn.ModuleList(nn.Embedding(*sizes) for sizes in zip(cardinalities, widths, strict=True))
        self.width = self.numbers + sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        codes = x[:, self.numbers :].long()
        vectors = [table(codes[:, column]) for column, table in enumerate(self.tables)]
        return torch.cat([x[:, : self.numbers], *vectors], 1)


def embedded(spec: Spec, width: PositiveInt | None) -> Embedded:
    """The module for the columns that `spec` promises."""
    return Embedded(spec.input_shape[0], spec.cardinalities, width)


def needs_numbers(model: str, spec: Spec) -> None:
    """Raises ValueError where a table's categories come as codes, whose size means nothing."""
    if spec.cardinalities:
        raise ValueError(f"{model} takes no codes of categories: try data.categories=onehot, or model=mlp")
