"""Columns of numbers to inputs that a network learns from: scaled, made normal, or cut into bins."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dlkit.data.scale import Scale

Normalize = Literal["none", "standardize", "minmax", "quantile", "ple"]
REFERENCES = 1000  # quantiles kept of each column, as scikit-learn does
NEAR = 1e-7  # probabilities this close to 0 or 1 count as that, so normal quantiles stay within ±5.2


def fit_numbers(columns: list[Tensor], normalize: Normalize, bins: int) -> dict[str, Tensor]:
    """What `encode_numbers` needs to know of F columns, each its observed training values, float64 (n,)."""
    if normalize == "quantile":
        references = torch.linspace(0, 1, min(REFERENCES, max(len(column) for column in columns)), dtype=torch.float64)
        return {"quantiles": torch.stack([quantiles(column, references) for column in columns])}
    if normalize == "ple":
        return _bins(columns, bins)
    scales = [Scale(normalize=normalize) for _ in columns]
    for scale, column in zip(scales, columns, strict=True):
        scale.fit(column.unsqueeze(1))
    return {"shift": torch.cat([s.shift for s in scales]), "scale": torch.cat([s.scale for s in scales])}


def encode_numbers(numbers: Tensor, normalize: Normalize, state: dict[str, Tensor]) -> Tensor:
    """(N, F) without NaN -> float32 (N, F); with ple (N, bins of all columns)."""
    if normalize == "quantile":
        columns = zip(numbers.T.to(state["quantiles"].dtype).contiguous(), state["quantiles"], strict=True)
        return torch.stack([_normal(column, known) for column, known in columns], 1).float()
    if normalize == "ple":
        return _piecewise_linear(numbers, state)
    return torch.sub(numbers, state["shift"]).div_(state["scale"]).float()


def quantiles(column: Tensor, places: Tensor) -> Tensor:
    """The quantiles of a column (n,) at `places` in [0, 1], linear between its values. torch's stops at 2²⁴ values."""
    ranked, places = column.sort().values, places * (len(column) - 1)
    below = places.long()
    return torch.lerp(ranked[below], ranked[places.ceil().long()], places - below)


def _normal(x: Tensor, known: Tensor) -> Tensor:
    """`Φ⁻¹(F(x))`, F the empirical distribution function, linear between its `known` quantiles (Q,) at 0 … 1.

    Where many training values are equal F jumps, and the middle of the jump is taken, but at the ends 0 and 1, as
    scikit-learn's QuantileTransformer does. A column that never varies becomes 0.
    """
    last = len(known) - 1
    above = torch.searchsorted(known, x).clamp(max=last)  # the first quantile ≥ x
    below = (torch.searchsorted(known, x, right=True) - 1).clamp(min=0)  # the last ≤ x
    gap = known[above] - known[below]
    share = torch.where(gap > 0, (x - known[below]) / gap, 0.5)  # 0.5: x is a quantile, once or many times
    probability = (below + share * (above - below)) / last
    probability = probability.masked_fill(x <= known[0], 0).masked_fill(x >= known[-1], 1)
    normal = torch.special.ndtri(probability.clamp(NEAR, 1 - NEAR))
    return normal.masked_fill(known[0] == known[-1], 0)  # no `if`: an export has one way through


def _bins(columns: list[Tensor], bins: int) -> dict[str, Tensor]:
    """Of every bin its column, lower edge and width; and whether it is the first or the last of its column.

    A column that never varies has one bin of width 1.
    """
    column, low, width, first, last = [], [], [], [], []
    for number, values in enumerate(columns):
        edges = _edges(values, bins)
        edges = edges if len(edges) > 1 else torch.stack([edges[0], edges[0] + 1])
        count = len(edges) - 1
        column.append(torch.full((count,), number))
        low.append(edges[:-1])
        width.append(edges.diff())
        first.append(torch.arange(count) == 0)
        last.append(torch.arange(count) == count - 1)
    parts = {"column": column, "low": low, "width": width, "first": first, "last": last}
    return {name: torch.cat(part) for name, part in parts.items()}


def _edges(column: Tensor, bins: int) -> Tensor:
    """At most bins + 1 edges (E,): the quantiles 0, 1/bins … 1 of the training values, of a column without equal ones.

    A value that fills a bin by itself is one edge, and the others are shared among the rest: of a column that is mostly
    0 plain quantiles would leave a few bins for all that differs. Few different values are each an edge.
    """
    values, counts = column.unique(return_counts=True)
    if len(values) <= bins + 1:
        return values
    heavy = values[counts * bins > len(column)]
    rest = column[~torch.isin(column, heavy)]
    places = torch.linspace(0, 1, bins + 1 - len(heavy), dtype=torch.float64)
    return torch.cat([heavy, quantiles(rest, places)]).unique()


def _piecewise_linear(numbers: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Piecewise linear encoding (Gorishniy et al. 2022, "On Embeddings for Numerical Features", eq. 1).

    A bin holds `(x − low) / width`, cut off at 0 below it and at 1 above it, but not below the first bin of a column
    nor above the last one.
    """
    bins = (numbers[:, state["column"]] - state["low"]) / state["width"]
    bins = torch.where(state["first"], bins, bins.clamp(min=0))
    return torch.where(state["last"], bins, bins.clamp(max=1)).float()
