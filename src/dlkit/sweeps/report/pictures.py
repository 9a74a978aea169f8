"""Pictures of a sweep's report: curves with bands, means of options with their intervals, heat maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlkit.plots.style import COLOURS, DASHES, GRID, INK, MAIN, MARK, PALE
from dlkit.sweeps.report.svg import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTERS = 22  # of a value
TICKS = 9  # values named on an axis of numbers
DECADES = 30.0  # largest over smallest number from which an axis is logarithmic


@dataclass(frozen=True)
class Line:
    """A curve with its band."""

    x: Sequence[float]
    mean: Sequence[float]
    std: Sequence[float]  # NaN where there is but one value


@dataclass(frozen=True)
class Shades:
    """The colours of cells: from the worst value to the best, the darker the better; what is worse has the palest."""

    worst: float
    best: float

    def of(self, value: float) -> float:
        """0 for the worst, 1 for the best."""
        width = self.best - self.worst
        return 1.0 if width == 0 else min(max((value - self.worst) / width, 0.0), 1.0)

    def text(self, value: float) -> str:
        """In as many decimals as all others."""
        return (
            f"{value:.3f}" if 0.02 < max(abs(self.worst), abs(self.best)) < 20 and abs(value) < 1000 else f"{value:.3g}"
        )


def colour(index: int) -> tuple[str, tuple[float, ...]]:
    """The colour and the dashes, in widths of the line, of the line with this index; neighbours differ in both."""
    return COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]


def numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers; None where one is none."""
    try:
        found = [float(value) for value in values]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def dots(
    name: str,
    values: Sequence[str],
    means: Sequence[float],
    margins: Sequence[float],
    points: Sequence[Sequence[float]],
    *,
    label: str,
    limits: tuple[float, float],
) -> str:
    """The mean of each value of an option with its interval (margin NaN: none), and pale what it is the mean of.

    Numbers stand on an axis of numbers, a logarithmic one where they span decades; where they are few they are joined.
    """
    found = numbers(values)
    places = np.arange(len(values), dtype=float) if found is None else np.array(found)
    order = np.argsort(places)
    rotated = found is None and sum(min(len(value), LETTERS) for value in values) > 34
    log = found is not None and min(found) > 0 and max(found) / min(found) >= DECADES
    crowded = found is not None and _crowded(np.log(found) if log else np.array(found))

    def draw(axes: Axes) -> None:
        axes.set(title=name, ylabel=label, ylim=limits, xscale="log" if log else "linear")
        for place, some in zip(places, points, strict=True):
            axes.plot([place] * len(some), some, "o", color=MAIN, alpha=0.3, markersize=4, markeredgewidth=0)
        if found is not None and not crowded:
            axes.plot(places[order], np.array(means)[order], color=MAIN, linewidth=1, alpha=0.6)
        bars = np.nan_to_num(np.array(margins, dtype=float))
        axes.errorbar(places, means, bars, fmt="o", color=MAIN, markersize=7, linewidth=2, capsize=4)
        turn: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if rotated else {}
        if crowded:
            axes.xaxis.set_major_formatter("{x:g}")
        else:
            axes.set_xticks(places, list(map(_short, values)), **turn)
        axes.minorticks_off()
        if found is None:
            axes.set_xlim(-0.6, len(values) - 0.4)

    wide = 4.3 if found is not None else max(4.3, 0.45 * len(values) + 1)
    return svg(draw, (wide, 3.0), f"{label} for each value of {name}")


def _crowded(places: NDArray[np.float64]) -> bool:
    """Whether the values are too many or too near to one another to be named on an axis."""
    gaps = np.diff(np.sort(places))
    return len(places) > TICKS or (len(gaps) > 0 and bool(gaps.min() < 0.08 * gaps.sum()))


def bands(lines: Sequence[Line], *, across: str, label: str) -> str:
    """Curves with bands of a standard deviation, coloured by `colour` in their order, the first on top."""
    from matplotlib.ticker import MaxNLocator

    def draw(axes: Axes) -> None:
        for index, line in reversed(list(enumerate(lines))):
            shade, dashes = colour(index)
            x, mean, std = (np.array(part, dtype=float) for part in (line.x, line.mean, line.std))
            axes.fill_between(x, mean - std, mean + std, color=shade, alpha=0.15, linewidth=0)
            width = 2.2 if index == 0 else 1.4
            style = (0, dashes) if dashes else "-"
            marker = "o" if len(x) == 1 else ""
            axes.plot(x, mean, color=shade, linewidth=width, linestyle=style, marker=marker)
        heights = np.concatenate([np.array(line.mean, dtype=float) for line in lines])
        if heights.min() > 0 and heights.max() / heights.min() >= DECADES:
            axes.set_yscale("log")
            axes.set_ylim(heights.min() / 1.5, heights.max() * 1.5)  # a band that reaches below zero would run off
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        axes.set(xlabel=across, ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return svg(draw, (5.4, 3.7), f"{label} against {across}")


def cells(
    found: Mapping[tuple[str, str], float | str],
    *,
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    shades: Shades,
    title: str = "",
    marked: tuple[str, str] | None = None,
) -> str:
    """A heat map: a number in each (row, column), or a word where there is none; a frame around the marked one."""
    width, height = len(columns[1]), len(rows[1])
    room = max(0.62, min(0.95, 4 / width))
    size = max(5.0, min(9.5, 9.5 * room / 0.62 if width * height <= 400 else 6.0))

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.patches import Rectangle

        scale = LinearSegmentedColormap.from_list("quality", [PALE, MAIN])
        for row, down in enumerate(rows[1]):
            for column, along in enumerate(columns[1]):
                value = found.get((down, along), "")
                share = shades.of(value) if isinstance(value, float) else 0.0
                fill: Any = scale(share) if isinstance(value, float) else "none"
                axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=fill, edgecolor=GRID))
                ink = INK if not isinstance(value, float) else "white" if share > 0.85 else "#111111"
                text = shades.text(value) if isinstance(value, float) else value
                axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
        if marked is not None and marked in found:
            row, column = rows[1].index(marked[0]), columns[1].index(marked[1])
            axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, edgecolor=MARK, linewidth=3))
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xlabel=columns[0], ylabel=rows[0], title=title)
        crowded = max(map(len, columns[1])) * 0.08 > room
        turn: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        axes.set_xticks(range(width), list(map(_short, columns[1])), **turn)
        axes.set_yticks(range(height), list(map(_short, rows[1])))
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    margin = 0.7 + 0.075 * max(len(_short(value)) for value in rows[1])
    return svg(draw, (margin + room * width, 1.0 + 0.42 * height), f"heat map of {rows[0]} and {columns[0]} {title}")


def _short(value: str) -> str:
    return value if len(value) <= LETTERS else value[: LETTERS - 1] + "…"
