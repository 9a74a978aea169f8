"""Sheets of small pictures with captions for TensorBoard, drawn without matplotlib: axes take 20 ms for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.style import MARK, SHADES

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

Pixels = NDArray[np.uint8]

TILE, GAP = 112, 8  # pixels: the longer side of a picture, and what is around it
LETTER, LINE = 12, 15  # height of the captions' letters and of their lines
DEEP = 60.0  # dB below the loudest that are shown
STEPS = 16  # of colour in spectrograms: with more their files grow


def tiled(pictures: Sequence[Pixels], captions: Sequence[Sequence[str]], marked: Sequence[bool]) -> bytes:
    """Pictures (h, w, 3) in rows, each with the lines of its caption below, as a PNG file.

    Small ones are enlarged pixel by pixel, large ones reduced. A frame is around those that are `marked`.
    """
    from PIL import Image, ImageDraw

    across = min(len(pictures), max(4, int(np.ceil(np.sqrt(len(pictures))))))
    wide, tall = TILE + 2 * GAP, TILE + 2 * GAP + LINE * max(map(len, captions))
    page = Image.new("RGB", (across * wide, -(-len(pictures) // across) * tall), "white")
    draw = ImageDraw.Draw(page)
    for number, (pixels, caption, mark) in enumerate(zip(pictures, captions, marked, strict=True)):
        top, left = number // across * tall + GAP, number % across * wide + GAP
        picture = _fitted(Image.fromarray(pixels))
        x, y = left + (TILE - picture.width) // 2, top + TILE - picture.height
        page.paste(picture, (x, y))
        if mark:
            draw.rectangle((x - 3, y - 3, x + picture.width + 2, y + picture.height + 2), outline=MARK, width=3)
        for line, words in enumerate(caption):
            _write(draw, words, (left + TILE // 2, top + TILE + 4 + LINE * line))
    return png_file(page)


def colours(images: NDArray[Any]) -> Pixels:
    """Images (n, C, h, w), float 0 to 1, as (n, h, w, 3): three channels are colours, any other number the mean,
    grey."""
    shown = images if images.shape[1] == 3 else images.mean(1, keepdims=True).repeat(3, 1)
    return (255 * shown.transpose(0, 2, 3, 1)).round().astype(np.uint8)


def spectrograms(powers: Sequence[NDArray[Any]]) -> list[Pixels]:
    """Powers (frequencies, frames) in colours, low frequencies below, all on one scale of `DEEP` dB and of time: the
    longest fills its square picture (h, w, 3), of the others the rest is white."""
    from matplotlib import colormaps  # 0.2 s: only here
    from PIL import Image

    longest = max(power.shape[1] for power in powers)
    drawn = []
    for power in powers:
        level = 1 + 10 / DEEP * np.log10(np.maximum(power / max(float(power.max()), 1e-12), 1e-12))
        size = (max(1, round(TILE * power.shape[1] / longest)), TILE)
        small = np.asarray(Image.fromarray(level.astype(np.float32)[::-1]).resize(size, Image.Resampling.BOX))
        page = np.full((TILE, TILE, 3), 255, np.uint8)
        page[:, : size[0]] = colormaps[SHADES]((small * STEPS).round() / STEPS, bytes=True)[..., :3]
        drawn.append(page)
    return drawn


def png_file(page: Image) -> bytes:
    file = BytesIO()
    page.save(file, "png", compress_level=3)
    return file.getvalue()


def _fitted(picture: Image) -> Image:
    """An image whose longer side is about a tile: whole multiples of its pixels where it is smaller."""
    from PIL.Image import Resampling

    longer = max(picture.size)
    if longer > TILE:
        picture.thumbnail((TILE, TILE), Resampling.BILINEAR)
        return picture
    times = TILE // longer
    return picture.resize((picture.width * times, picture.height * times), Resampling.NEAREST)


def _write(draw: ImageDraw, words: str, middle: tuple[int, int]) -> None:
    """A line of text below a point, cut where it is wider than a tile."""
    letters = font()
    while len(words) > 1 and draw.textlength(words, letters) > TILE + GAP:
        words = words.removesuffix("…")[:-1] + "…"
    draw.text(middle, words, "black", letters, anchor="ma")


@cache
def font() -> FreeTypeFont:
    """Matplotlib's own, which has Greek and Cyrillic letters and arrows: found without importing it."""
    from PIL import ImageFont

    place = find_spec("matplotlib")
    assert place is not None and place.origin is not None
    return ImageFont.truetype(Path(place.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", LETTER)
