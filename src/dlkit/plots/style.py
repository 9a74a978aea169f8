"""How every picture looks: colours that the colour-blind tell apart, plain axes, PNG or SVG."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAIN, MARK = "#3b6fb6", "#d9822b"
COLOURS = (MAIN, MARK, "#2a9d6f", "#c25d9b", "#56b4e9", "#8a6d3b", "#c0392b", "#888888")
LINES = ("-", "--", ":", "-.")  # with the colours, no two lines are alike
GRID = "#dddddd"
SHADES = "cividis"  # of areas: even to the eye, also in grey
LETTERS = 24  # of a name


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
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index // len(COLOURS) % len(LINES)]}


def save(figure: Figure, path: Path) -> None:
    """Writes the picture in the format that the file's name says; letters that the font lacks become boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(path, dpi=150, bbox_inches="tight")


def short(name: str) -> str:
    """A name in one line of `LETTERS` at most."""
    one = " ".join(name.split())
    return no_formula(one if len(one) <= LETTERS else one[: LETTERS - 1] + "…")


def no_formula(text: str) -> str:
    """What is between dollar signs would be taken for a formula."""
    return text.replace("$", r"\$")
