"""A small net with its numbers: values forwards, deltas and gradients backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlkit.plots.style import MAIN, MARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = "xhsuvw"  # of the layers' values
WIDE, HIGH = 4.6, 1.9  # between layers, between units
RADIUS, BESIDE = 0.42, 0.15  # of a unit; from a line to its numbers


def net(
    axes: Axes,
    *,
    values: Sequence[np.ndarray],
    deltas: Sequence[np.ndarray | None],
    weights: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
) -> None:
    """Draws units as circles and weights as lines, each with its numbers, those of the backward pass in orange.

    `values` of each layer (n_i,), the inputs first; `deltas` likewise, None for the inputs; `weights` and `gradients`
    (n_{i+1}, n_i) between them.
    """
    places = [[(WIDE * i, HIGH * ((len(v) - 1) / 2 - k)) for k in range(len(v))] for i, v in enumerate(values)]
    for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        for to, end in enumerate(places[i + 1]):
            for by, start in enumerate(places[i]):
                _line(axes, start, end, weight[to, by], gradient[to, by], 0.72 if by % 2 else 0.24)
    for i, layer in enumerate(places):
        for k, (x, y) in enumerate(layer):
            _unit(axes, x, y, f"{NAMES[i]}{_index(k) if len(layer) > 1 else ''}", values[i][k], deltas[i], k)
    axes.plot([], [], color=MAIN, label="forwards: values, weights w")
    axes.plot([], [], color=MARK, label="backwards: δ = ∂L/∂z, gradients ∂L/∂w")
    axes.legend(loc="lower right")
    axes.set_aspect("equal")
    axes.set_axis_off()


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float], w: float, g: float, part: float) -> None:
    axes.plot(*zip(start, end, strict=True), color="#bbbbbb", linewidth=0.8 + min(abs(w), 8) / 3, zorder=1)
    angle = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
    x, y = (a + part * (b - a) for a, b in zip(start, end, strict=True))
    for text, colour, side in ((f"{w:.2f}", MAIN, 1), (f"{g:+.4f}", MARK, -1)):
        place = x - side * BESIDE * np.sin(angle), y + side * BESIDE * np.cos(angle)
        axes.text(
            *place,
            text.replace("-", "−"),
            color=colour,
            rotation=np.degrees(angle),
            rotation_mode="anchor",
            ha="center",
            va="center",
            fontsize=8.5,
            zorder=3,
        )


def _unit(axes: Axes, x: float, y: float, name: str, value: float, deltas: np.ndarray | None, k: int) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor="#444444", zorder=4))
    axes.text(x, y + 0.02, name, ha="center", va="bottom", fontsize=9, zorder=5)
    axes.text(x, y, f"{value:.3f}".replace("-", "−"), ha="center", va="top", color=MAIN, fontsize=9, zorder=5)
    if deltas is not None:
        text = f"δ {deltas[k]:+.4f}".replace("-", "−")
        axes.text(x, y - RADIUS - 0.05, text, ha="center", va="top", color=MARK, fontsize=9, zorder=5)


def _index(k: int) -> str:
    return "₁₂₃₄₅₆₇₈₉"[k]
