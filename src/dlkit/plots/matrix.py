"""Which classes are taken for which, of any number of them, as PNG or SVG; `cells.py` is the quick one of every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dlkit.plots.style import MAIN, blank, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTED = 20  # classes: with more, counts do not fit into their cells
NAMED = 200  # classes: with more, names would be too small to read


def confusion(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """The confusion matrix (K, K), rows true classes: the colour is the share of the row, the number the count.

    Of many classes there are no numbers, and of very many no names.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 4 + 0.35 * len(counts) if len(counts) <= COUNTED else 6 + 0.1 * len(counts) if len(counts) <= NAMED else 10
    figure = blank(side + 1.5, side + 0.5) if len(counts) > COUNTED else blank(side, side)
    axes = figure.add_subplot()
    norm = PowerNorm(0.4, 0, 1)  # so that the few errors of a good model are seen
    image = axes.imshow(share, LinearSegmentedColormap.from_list("share", ["white", MAIN]), norm, interpolation="none")
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {accuracy:.4f} of {counts.sum():,} examples")
    if len(counts) > COUNTED:
        figure.colorbar(image, ax=axes, fraction=0.04, label="share of the true class")
    if len(counts) <= NAMED:
        size = min(9.0, 60 * side / len(counts))
        names = [short(name) for name in classes]
        turn = 90 if max(map(len, names)) > 3 or len(names) > COUNTED else 0
        axes.set_xticks(range(len(names)), names, rotation=turn, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
    if len(counts) <= COUNTED:
        size = min(9.0, 75 * side / len(counts) / len(f"{counts.max():,}"))
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.35 else "black"
                text = axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=size)
                text.set_in_layout(False)  # which would take as long as to draw it
    return figure
