"""Images side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.style import blank, no_formula

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 25  # images at most, five in a row


def gallery(images: NDArray[Any], captions: Sequence[str]) -> Figure:
    """The first `MOST` of the images (n, C, H, W) with their captions, pixels as they are.

    uint8 0 to 255 or float 0 to 1; floats beyond that are brought there, all alike. Three channels are colours; any
    other number is shown as the mean, grey.
    """
    shown = images[:MOST].astype(np.float64) / (255 if images.dtype == np.uint8 else 1)
    if shown.size and (shown.min() < 0 or shown.max() > 1):
        shown = (shown - shown.min()) / max(np.ptp(shown), 1e-12)
    across = max(1, min(5, len(shown)))
    down = max(1, -(-len(shown) // across))
    figure = blank(2 * across, 2.3 * down)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, image, caption in zip(places, shown, captions, strict=False):
        pixels = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0)
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        lines = textwrap.wrap(caption, 30, max_lines=3, placeholder=" …")
        axes.set_title(no_formula("\n".join(lines)), fontsize=8)
    return figure
