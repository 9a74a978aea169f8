"""Learning rates: over a run, and how the loss answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlkit.plots.style import MAIN, MARK, axes_of, blank, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 2000  # drawn at most


def schedule(rates: Sequence[float], steps_per_epoch: int, title: str) -> Figure:
    """The learning rate of every step against the step, with epochs along the top."""
    every = max(1, len(rates) // POINTS)
    steps = sorted({*range(0, len(rates), every), len(rates) - 1})
    figure = blank()
    (axes,) = axes_of(figure)
    axes.plot([step + 1 for step in steps], [rates[step] for step in steps], color=MAIN, linewidth=2)
    axes.set(xlabel="step", ylabel="learning rate η", xlim=(0, len(rates)), ylim=(0, 1.08 * max(rates) or 1))
    above = axes.twiny()
    above.set(xlabel="epoch", xlim=(0, len(rates) / steps_per_epoch))
    above.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis, above.xaxis):
        axis.set_major_formatter("{x:g}")
    titled(figure, title)
    return figure


def range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None, title: str
) -> Figure:
    """The loss of every step, pale, its mean, strong, and the suggestion, against the rate."""
    figure = blank()
    (axes,) = axes_of(figure)
    axes.plot(rates, losses, color=MAIN, alpha=0.3, linewidth=1, label="each batch")
    axes.plot(rates, smoothed, color=MAIN, linewidth=2, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color=MARK, linewidth=1.5, linestyle="--", label=f"optim.lr={suggestion:g}")
    low, high = min(losses), max(smoothed[0], *losses[:10])
    room = 0.25 * (high - low) or 1.0  # where it diverges it leaves the picture
    axes.set(xscale="log", xlabel="learning rate η", ylabel="training loss", ylim=(low - 0.2 * room, high + room))
    axes.legend(frameon=False, loc="lower left")
    titled(figure, title)
    return figure
