"""The confusion matrix of few classes for TensorBoard, drawn without matplotlib, in a tenth of the time: every run
draws it. `matrix.py` draws it for reports, of any number of classes, as SVG too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.style import LETTERS, MAIN
from dlkit.plots.tiles import GAP, LINE, font, png_file

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = 44  # pixels a side
DARK = 0.65  # of the strongest colour, on which numbers are white


def cells(counts: NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """The confusion matrix (K, K), rows true, as a PNG file: the colour is the share of the row, the number the
    count."""
    from PIL import Image, ImageColor, ImageDraw

    letters, size = font(), CELL * len(counts)
    names = [name if len(name) <= LETTERS else name[: LETTERS - 1] + "…" for name in classes]
    longest = max(round(letters.getlength(name)) for name in names)
    left, top, below = longest + 3 * GAP + LINE, LINE + 2 * GAP, (longest if longest > CELL else LINE) + 2 * GAP
    title = f"accuracy {np.trace(counts) / max(counts.sum(), 1):.4f} of {counts.sum():,} examples"
    width = max(left + size + GAP, round(letters.getlength(title)) + 2 * GAP)
    page = Image.new("RGB", (width, top + size + below + LINE + GAP), "white")
    draw, strong = ImageDraw.Draw(page), np.array(ImageColor.getrgb(MAIN))
    draw.text((GAP, GAP), title, "black", letters)
    draw.text((left + size // 2, page.height - GAP), "predicted", "black", letters, anchor="md")
    _paste_turned(page, "true", (GAP, top + size // 2))
    share = (counts / np.maximum(counts.sum(1, keepdims=True), 1)) ** 0.4  # so that few errors are seen
    for (row, column), count in np.ndenumerate(counts):
        x, y = left + CELL * column, top + CELL * row
        red, green, blue = (255 + share[row, column] * (strong - 255)).round().astype(int).tolist()
        draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), (red, green, blue))
        if count:
            ink = "white" if share[row, column] > DARK else "black"
            draw.text((x + CELL // 2, y + CELL // 2), f"{count:,}", ink, letters, anchor="mm")
    for number, name in enumerate(names):
        middle = CELL * number + CELL // 2
        draw.text((left - GAP, top + middle), name, "black", letters, anchor="rm")
        if longest > CELL:
            _paste_turned(
                page, name, (left + middle - LINE // 2, top + size + GAP + round(letters.getlength(name)) // 2)
            )
        else:
            draw.text((left + middle, top + size + GAP), name, "black", letters, anchor="ma")
    return png_file(page)


def _paste_turned(page: Image, words: str, middle: tuple[int, int]) -> None:
    """A line of text that reads upwards; its left edge and the middle of its height are given."""
    from PIL import Image, ImageDraw

    line = Image.new("RGB", (round(font().getlength(words)) + 2, LINE + 2), "white")
    ImageDraw.Draw(line).text((1, 1), words, "black", font())
    page.paste(line.rotate(90, expand=True), (middle[0], middle[1] - line.width // 2))
