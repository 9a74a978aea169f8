"""Classes in the plane: what a model says everywhere, and the points it was asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.plots.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = 200  # points along each side at which the model is asked
MARKS = ("o", "^", "s", "D")  # with the colours, no two classes are alike


def regions(axes: Axes, classify: Callable[[np.ndarray], np.ndarray], x: Any, y: Any, margin: float = 0.1) -> None:
    """Shades the plane by `classify`, float32 (N, 2) -> classes (N,), and draws the points x (M, 2) of classes y (M,).

    `margin` is the room around the points, a part of their extent.
    """
    x, y = np.asarray(x), np.asarray(y)
    low, high = x.min(0), x.max(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    across, up = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)
    said = np.asarray(classify(grid)).reshape(GRID, GRID)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    classes = int(max(said.max(), y.max())) + 1
    axes.imshow(_shades(said), origin="lower", extent=extent, aspect="auto")
    for k in range(classes):
        across, up = x[y == k].T
        colour, mark = COLOURS[k % len(COLOURS)], MARKS[k % len(MARKS)]
        axes.scatter(across, up, s=18, color=colour, marker=mark, linewidths=0.4, edgecolors="white")
    axes.grid(visible=False)


def _shades(classes: np.ndarray) -> np.ndarray:
    """Pale colours (H, W, 3) of classes (H, W)."""
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(colour) for colour in COLOURS])
    return 0.7 + 0.3 * np.asarray(palette[classes % len(COLOURS)])
