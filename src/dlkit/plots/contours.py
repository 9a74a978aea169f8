"""A function of two variables as lines of equal height, and paths across it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dlkit.plots.style import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALE = "Greys"  # of heights, so that the colours of paths stand out


def contours(axes: Axes, x: ArrayLike, y: ArrayLike, heights: ArrayLike, *, levels: int = 14) -> None:
    """Lines of equal height over a grid, dark where it is high; `heights` (len(y), len(x)), NaN where there is none.

    Their distances above the lowest point of the grid grow by a constant factor, from 10⁻⁴ of the range to all of it,
    so that a valley shows beside steep walls.
    """
    values = np.asarray(heights, dtype=float)
    lowest, highest = np.nanmin(values), np.nanmax(values)
    if not highest > lowest:  # flat: no line
        return
    at = lowest + (highest - lowest) * np.geomspace(1e-4, 1, levels)
    axes.contourf(x, y, values, levels=[lowest, *at], cmap=PALE, alpha=0.35)
    axes.contour(x, y, values, levels=at, colors="#999999", linewidths=0.5)
    axes.grid(visible=False)


def path(axes: Axes, points: ArrayLike, index: int, **options: Any) -> None:
    """Points (T, 2) in their order, each a dot, in the colour of the line with this index; `options` of `Axes.plot`."""
    x, y = np.asarray(points, dtype=float).T
    look = line(index) | {"linestyle": "-", "linewidth": 1.4, "marker": ".", "markersize": 3}
    axes.plot(x, y, **(look | options))


def start(axes: Axes, point: ArrayLike) -> None:
    """A ring where paths begin."""
    _mark(axes, point, marker="o", markersize=8, markerfacecolor="white", zorder=1.9)  # below paths, however short


def minimum(axes: Axes, *points: ArrayLike) -> None:
    """A star at every minimum."""
    for point in points:
        _mark(axes, point, marker="*", markersize=12, markerfacecolor="#ffd23f", zorder=5)


def _mark(axes: Axes, point: ArrayLike, **options: Any) -> None:
    x, y = np.asarray(point, dtype=float)
    axes.plot([x], [y], linestyle="", color="black", markeredgecolor="black", markeredgewidth=1, **options)
