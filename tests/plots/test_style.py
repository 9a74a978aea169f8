"""The one style of all pictures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from dlkit.plots.style import COLOURS, DASHES, MAIN, axes_of, blank, line, png, save, short, titled

WHITE = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # sRGB to XYZ


def test_no_two_of_32_lines_look_alike_and_each_can_be_drawn() -> None:
    looks = [line(i) for i in range(len(COLOURS) * len(DASHES))]
    assert len({str(look) for look in looks}) == 32
    figure = blank()
    (axes,) = axes_of(figure)
    for look in looks:
        axes.plot([0, 1], [0, 1], **look)
    assert png(figure)


def test_no_two_colours_are_alike_to_one_who_sees_no_green() -> None:
    """Distances in Lab of what deuteranopes see (Viénot et al. 1999); 2.3 is just noticeable."""

    def linear(value: float) -> float:
        return ((value + 0.055) / 1.055) ** 2.4 if value > 0.04045 else value / 12.92

    def lab(colour: str) -> np.ndarray:
        red, green, blue = map(linear, to_rgb(colour))
        yellow, left = 0.29275 * red + 0.70725 * green, max(0.0, 0.02234 * (green - red) + blue)
        x, y, z = np.cbrt(WHITE @ [yellow, yellow, left] / WHITE.sum(1))
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    places = [lab(colour) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for i, a in enumerate(places) for b in places[:i]) > 9


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_saved_in_the_format_that_its_name_says(ending: str, tmp_path: Path) -> None:
    figure = blank(3, 2)
    (axes,) = axes_of(figure)
    axes.plot([0, 1], [0, 1], color=MAIN)
    titled(figure, "costs 5$ and 6$, 漢字")
    path = tmp_path / f"picture.{ending}"
    save(figure, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG") if ending == "png" else b"<svg" in content and MAIN.encode() in content


def test_a_picture_for_a_screen_is_as_large_as_asked_for() -> None:
    with Image.open(BytesIO(png(blank(3, 2), dpi=50))) as picture:
        assert picture.size == (150, 100)


def test_a_long_name_is_cut_and_stays_in_one_line() -> None:
    assert short("a\nlong name that goes on and on") == "a long name that goes o…"
