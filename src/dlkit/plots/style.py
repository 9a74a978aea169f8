"""How every picture looks: colours that the colour-blind tell apart, plain axes, PNG or SVG."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAIN, MARK = "#3b6fb6", "#d9822b"
COLOURS = (MAIN, MARK, "#2a9d6f", "#c25d9b", "#56b4e9", "#8a6d3b", "#c0392b", "#888888")
DASHES = ((), (4, 2), (1, 1.5), (5, 1.5, 1, 1.5))  # on and off, in widths of the line; with the colours, all differ
INK, GRID = "#222222", "#dddddd"
PALE = "#eef3fa"  # the light end of a scale that ends in MAIN
SHADES = "cividis"  # of areas: even to the eye, also in grey
LETTERS = 24  # of a name
PNG_DPI = 150  # of files


def blank(width: float = 7.0, height: float = 4.0) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure  # 0.3 s: only here

    return Figure(figsize=(width, height), layout="constrained")


def axes_of(figure: Figure, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    """Its plain axes, row by row; `options` are those of `Figure.subplots`."""
    made: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for axes in made:
        plain(axes)
    return made


def plain(axes: Axes) -> None:
    """A pale grid behind what is drawn, and no box."""
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def line(index: int) -> dict[str, Any]:
    """Colour and dashes of the line with this index, as `Axes.plot` takes them."""
    dashes = DASHES[index // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": (0, dashes) if dashes else "-"}


def titled(figure: Figure, title: str) -> None:
    """A title over the whole figure, in as many lines as it needs."""
    figure.suptitle(textwrap.fill(no_formula(title), round(11 * figure.get_figwidth())), fontsize=10)


def save(figure: Figure, path: Path) -> None:
    """Writes the picture in the format that the file's name says; letters that the font lacks become boxes."""
    with _quiet():
        figure.savefig(path, dpi=PNG_DPI, bbox_inches="tight")


def png(figure: Figure, dpi: int = 80) -> bytes:
    """The picture as a PNG file, of a size for a screen: a third of the time of `save`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas, file = FigureCanvasAgg(figure), BytesIO()
    with _quiet():
        canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(file, "png", compress_level=3)
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield


def short(name: str) -> str:
    """A name in one line of `LETTERS` at most."""
    one = " ".join(name.split())
    return no_formula(one if len(one) <= LETTERS else one[: LETTERS - 1] + "…")


def no_formula(text: str) -> str:
    """What is between dollar signs would be taken for a formula."""
    return text.replace("$", r"\$")
