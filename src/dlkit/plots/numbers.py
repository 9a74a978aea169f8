"""How far predicted numbers are from the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.answers import Array
from dlkit.plots.style import MAIN, axes_of, blank, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 5000  # drawn at most in a cloud
TARGETS = 4  # drawn at most


def predicted(y: Array, out: Array) -> Figure:
    """Predicted against true numbers (N, T) with the diagonal, and the errors against the predicted.

    Of many, the first `TARGETS` targets and `POINTS` examples drawn by chance.
    """
    some = np.random.default_rng(0).permutation(len(y))[:POINTS]
    targets, size = min(y.shape[1], TARGETS), 9 if len(some) > 500 else 20
    figure = blank(8.5, 4 * targets)
    places = axes_of(figure, targets, 2)
    for t, left, right in zip(range(targets), places[::2], places[1::2], strict=True):
        true, guess = y[some, t], out[some, t]
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        for axes, x, height, right_line in ((left, true, guess, ends), (right, guess, guess - true, [0, 0])):
            axes.scatter(x, height, s=size, alpha=0.6, color=MAIN, linewidths=0, rasterized=True)
            axes.plot(ends, right_line, color="black", linewidth=1, linestyle="--")
        of = f" (target {t + 1})" if y.shape[1] > 1 else ""
        left.set(xlabel=f"true{of}", ylabel="predicted")
        right.set(xlabel=f"predicted{of}", ylabel="error: predicted − true")
    shown = f"{len(some):,} of {len(y):,} examples" if len(some) < len(y) else f"{len(y):,} examples"
    titled(figure, shown + (f", {targets} of {y.shape[1]} targets" if targets < y.shape[1] else ""))
    return figure
