"""Whether what a model is sure of is right as often as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlkit.answers import Array
from dlkit.calibration import calibration_error
from dlkit.plots.style import MAIN, MARK, axes_of, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability(counts: Array, confidence: Array, accuracy: Array) -> Figure:
    """The reliability diagram of `calibration.reliability_bins`: accuracy against confidence, the probability of the
    predicted class, and below how many examples have which confidence."""
    figure = blank(5, 6)
    figure.set_layout_engine("none")  # nothing in it has a length that is not known: a third of the time less
    places = {"left": 0.14, "right": 0.96, "bottom": 0.09, "top": 0.94, "hspace": 0.08, "height_ratios": [3, 1]}
    axes, below = axes_of(figure, 2, sharex=True, gridspec_kw=places)
    width, some, share = 1 / len(counts), counts > 0, counts / counts.sum()
    centres = (np.arange(len(counts)) + 0.5) * width
    axes.bar(centres[some], accuracy[some], width, color=MAIN, edgecolor="white", label="accuracy")
    gap = (confidence - accuracy)[some]
    axes.bar(centres[some], gap, width / 3, accuracy[some], color=MARK, label="gap to the mean confidence")
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--", label="perfectly calibrated")
    error = calibration_error(counts, confidence, accuracy)
    title = f"expected calibration error {error:.4f}"
    axes.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.25), yticks=np.linspace(0, 1, 6), title=title)
    axes.legend(loc="upper left", fontsize=8)
    below.bar(centres, share, width, color=MAIN, edgecolor="white")
    below.set(xlabel="confidence", ylabel="share of examples", ylim=(0, 1.9 * share.max()))  # room for the legend
    for mean, style, name in ((share @ accuracy, "-", "accuracy"), (share @ confidence, ":", "mean confidence")):
        below.axvline(float(mean), color="black", linewidth=1, linestyle=style, label=f"{name} {mean:.4f}")
    below.legend(loc="upper left", fontsize=8)
    return figure
