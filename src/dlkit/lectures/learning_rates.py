"""A learning rate that is too small crawls, one that is too large diverges, a good one does neither."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.finding import Done, Finding, at_most
from dlkit.plots.style import axes_of, blank, line


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank()
    (axes,) = axes_of(picture)
    for i, run in enumerate(runs):
        axes.plot(*run.curve("train/loss"), **line(i), label=f"η = {run.options['optim.lr']:g}")
    axes.set(xlabel="step", ylabel="training loss", yscale="log")
    axes.legend()
    return Finding(picture, [at_most("loss with η = 0.5", runs[1].curve("train/loss")[1][-1], 0.2)])
