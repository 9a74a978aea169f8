"""A loss over a plane through a model's weights, as areas between contours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.contours import minimum, path
from dlkit.plots.style import SHADES, axes_of, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

WAY = 6  # index of its colour
LEVELS = 15
RATIO = 10.0  # of the largest to the least loss, above which contours are drawn by its logarithm
LEAST = 1e-6  # part of the largest loss that the contours begin with at least


def levels(*losses: Array) -> Array:
    """Values for the contours of surfaces that are to be compared: even, or in even ratios where they differ much."""
    known = np.concatenate([loss[np.isfinite(loss)] for loss in losses])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if low >= 0 and high > RATIO * low:
        return np.geomspace(max(low, LEAST * high), high, LEVELS)
    return np.linspace(low, high if high > low else low + 1, LEVELS)


def areas(axes: Axes, a: Array, b: Array, loss: Array, at: Array) -> Any:
    """Draws a loss (B, A) over coordinates (A,) and (B,) as areas between the values `at`; what a colour bar is made
    of. Where it is not finite the ground is left white."""
    from matplotlib.colors import BoundaryNorm

    shown = np.ma.masked_invalid(np.clip(loss, at[0], at[-1], where=np.isfinite(loss), out=loss.copy()))
    drawn = axes.contourf(a, b, shown, levels=at, cmap=SHADES, norm=BoundaryNorm(at, 256))
    axes.contour(a, b, shown, levels=at, colors="white", linewidths=0.4)
    axes.grid(False)
    axes.locator_params(nbins=5)
    return drawn


def bar(figure: Figure, drawn: Any, axes: Any, label: str = "loss") -> None:
    """The colour bar of contours, with a few of their values."""
    at = drawn.levels
    made = figure.colorbar(drawn, ax=axes, label=label, ticks=at[:: max(1, len(at) // 5)])
    made.ax.set_yticklabels([f"{value:.2g}" if value < 100 else f"{value:,.0f}" for value in made.get_ticks()])
    made.ax.minorticks_off()


def way(axes: Axes, points: Array, names: Sequence[str] = ()) -> None:
    """Draws the way through points (T, 2) to the last, a star; `names` are those of the first and the last."""
    path(axes, points, WAY, color="white", linewidth=4, alpha=0.7)  # so that it stands out from every area
    path(axes, points, WAY, markersize=7)
    minimum(axes, points[-1])
    for name, point in zip(names, (points[0], points[-1]), strict=False):
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        axes.annotate(name, point, fontsize=9, bbox=box, xytext=(7, 7), textcoords="offset points")


def landscape(a: Array, b: Array, loss: Array) -> Figure:
    """The loss along two random directions."""
    figure = blank(5.6, 4.4)
    (axes,) = axes_of(figure)
    bar(figure, areas(axes, a, b, loss, levels(loss)), axes)
    minimum(axes, (0, 0))
    axes.set(xlabel="first direction, filter norms", ylabel="second direction, filter norms", aspect="equal")
    return figure


def trajectory(
    a: Array, b: Array, loss: Array, points: Array, steps: Sequence[int], explained: tuple[float, float]
) -> Figure:
    """The way through points (T, 2), reached at these steps, over the loss on its plane."""
    figure = blank(6.2, 4.4)
    (axes,) = axes_of(figure)
    bar(figure, areas(axes, a, b, loss, levels(loss)), axes)
    way(axes, points, (f"step {steps[0]:,}", f"step {steps[-1]:,}"))
    first, second = (f"principal component {i + 1}, {explained[i]:.1%} of the variance" for i in (0, 1))
    axes.set(xlabel=first, ylabel=second)
    return figure
