"""What convolutions look for and what they find: pictures of filters and of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.style import SHADES, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

SIGNED = "RdBu_r"  # below 0 blue, 0 white, above 0 red
FILTERS, MAPS = 64, 8  # drawn at most: filters, and maps of one layer
GAP = 0.12  # between tiles, as a part of their side


def filters(weights: Array, *, title: str = "") -> Figure:
    """The first `FILTERS` of the filters (n, C, h, w) as tiles, 0 in the middle of a scale that is the same for all.

    Three channels are colours, grey where the weight is 0. Of any other number each has a tile of its own, the tiles
    of a filter one after the other: red above 0, blue below.
    """
    figure = blank(5.2, 5)
    (axes,) = _bare(figure)
    most = float(np.abs(weights).max()) or 1.0
    if weights.shape[1] == 3:
        shown = tiles(0.5 + weights[:FILTERS].transpose(0, 2, 3, 1) / (2 * most))
        axes.imshow(shown, interpolation="nearest")
        axes.set_xlabel(f"grey: 0, full colour: ±{most:.2g}", fontsize=9)
    else:
        shown = tiles(weights.reshape(-1, *weights.shape[2:])[:FILTERS])
        image = axes.imshow(shown, SIGNED, vmin=-most, vmax=most, interpolation="nearest")
        figure.colorbar(image, ax=axes, label="weight", fraction=0.046)
    axes.set_title(title, fontsize=10)
    return figure


def feature_maps(picture: Array, layers: Sequence[tuple[str, Array]], *, title: str = "") -> Figure:
    """A picture (h, w), or (h, w, 3) with colours from 0 to 1, and below it a row of maps for each layer.

    `layers` are names with maps (C, h, w), of which the first `MAPS` are drawn, each from its least (dark) to its
    largest value (bright).
    """
    rows = len(layers) + 1
    figure = blank(1.2 + 0.95 * MAPS, 0.4 + 0.98 * rows)
    (axes,) = _bare(figure)
    step = 1 + GAP
    axes.imshow(picture, "gray", extent=(0, 1, 1, 0), interpolation="nearest")
    for row, (_, maps) in enumerate(layers, start=1):
        for column, one in enumerate(maps[:MAPS]):
            place = (column * step, column * step + 1, row * step + 1, row * step)
            axes.imshow(one, SHADES, extent=place, interpolation="nearest")
    axes.set(xlim=(0, MAPS * step - GAP), ylim=(rows * step - GAP, 0), title=title, aspect="equal")
    names = ["input", *(f"{name}\n{len(maps)} × {maps.shape[1]} × {maps.shape[2]}" for name, maps in layers)]
    axes.set_yticks([row * step + 0.5 for row in range(rows)], names, fontsize=9)
    return figure


def tiles(pictures: Array) -> Array:
    """Pictures (n, h, w) or (n, h, w, 3) in a square of rows, one under the other: (H, W) or (H, W, 3).

    Between them is NaN, which is drawn as nothing, or, of colours, white.
    """
    count, height, width = pictures.shape[:3]
    across = int(np.ceil(np.sqrt(count * height / width)))
    down, gap = -(-count // across), max(1, round(GAP * min(height, width)))
    fill = np.nan if pictures.ndim == 3 else 1.0
    sheet = np.full((down * (height + gap) - gap, across * (width + gap) - gap, *pictures.shape[3:]), fill)
    for number, picture in enumerate(pictures):
        top, left = (place * (size + gap) for place, size in zip(divmod(number, across), (height, width), strict=True))
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _bare(figure: Figure) -> list[Axes]:
    """One axes with nothing around it."""
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0)
    return [axes]
