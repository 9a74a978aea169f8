"""A drawing of matplotlib's as SVG that stands inside a page: its text takes the font and the colour of the page."""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

from dlkit.plots.style import GRID, INK, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dlkit",  # the same ids each time
    "text.parse_math": False,  # what is between dollar signs of a name is no formula
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK),
    "axes.edgecolor": "#999999",
}


def svg(draw: Callable[[Axes], None], size: tuple[float, float], described: str) -> str:
    """What is drawn, as an element of a page: as wide as there is room, black in the page's own colour."""
    import matplotlib  # 0.3 s: only here
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        plain(axes)
        draw(axes)
        file = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _embedded(file.getvalue(), size[0] * 72, described)


def _embedded(picture: str, points: float, described: str) -> str:
    """An SVG file of matplotlib's, `points` wide, as an element of a page that holds several."""
    picture = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", picture[picture.index("<svg") :], flags=re.DOTALL)
    picture = re.sub(r"<!--.*?-->\s*", "", picture, flags=re.DOTALL)
    picture = re.sub(r'<g id="[^"]*"', "<g", picture)  # the same in every picture; nothing refers to groups
    picture = re.sub(r"font-family: [^;\"]*; ", "", picture)
    picture = picture.replace(INK, "currentColor").replace(GRID, f"var(--grid, {GRID})")
    head, rest = picture.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    style = f"max-width:{points * 1.3:.0f}px;min-width:{points * 0.6:.0f}px"
    return f'{head} role="img" aria-label="{html.escape(described)}" style="{style}">{rest}'
