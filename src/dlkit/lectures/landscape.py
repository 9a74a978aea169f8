"""Around the weights that training finds, the loss rises steeply in a deep net and gently in a wide one.

Along two random directions, each filter of which is as long as that of the weights, or distances in nets of different
sizes could not be compared (Li et al. 2018). Steep is not useless: all four nets are right on most of the test split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlkit.landscape.surface import Surface, directions, examples, surface
from dlkit.lectures.finding import Done, Finding, at_least
from dlkit.plots.contours import minimum
from dlkit.plots.landscape import areas, bar, levels
from dlkit.plots.style import axes_of, blank

LINE = np.linspace(-1, 1, 17)
EXAMPLES = 250
SHOWN = (0.02, 20.0)  # losses; what is above or below has the last colour
DISTANCE = 0.5  # at which the rise is measured, in lengths of filters

Shape = tuple[int, int]  # layers, units of each


def figure(runs: Sequence[Done]) -> Finding:
    found: dict[Shape, Surface] = {}
    for run in runs:
        hidden, trained = run.options["model.hidden"], run.model()
        plane = directions(trained.model, run.config["seed"])
        found[len(hidden), hidden[0]] = surface(trained, examples(trained, count=EXAMPLES), plane, LINE, LINE)
    picture = blank(7.4, 6)
    at = levels(np.array(SHOWN))
    grid = axes_of(picture, 2, 2, sharex=True, sharey=True)
    for axes, (shape, one) in zip(grid, sorted(found.items()), strict=True):
        drawn = areas(axes, *one, at)
        minimum(axes, (0, 0))
        axes.set(
            title=f"{shape[0]} layers of {shape[1]}: +{rise(one):.2g}",
            aspect="equal",
            xticks=(-1, 0, 1),
            yticks=(-1, 0, 1),
        )
    bar(picture, drawn, grid, "training loss")
    picture.supxlabel(f"first direction, lengths of filters (+: rise of the loss at {DISTANCE})", fontsize=10)
    picture.supylabel("second direction", fontsize=10)
    risen = {shape: rise(one) for shape, one in found.items()}
    right = [run.result["metrics"]["test/accuracy"] for run in runs]
    return Finding(
        picture,
        [
            at_least("rise of the loss, 8 layers / 2 layers: of 32 units", risen[8, 32] / risen[2, 32], 3),
            at_least("of 256 units", risen[8, 256] / risen[2, 256], 2),
            at_least("32 units / 256 units: 2 layers", risen[2, 32] / risen[2, 256], 3),
            at_least("8 layers", risen[8, 32] / risen[8, 256], 3),
            at_least("test accuracy, the least", min(right), 0.85),
        ],
    )


def rise(one: Surface) -> float:
    """How much larger than in the middle the loss is at the distance, by the median over the ring's points."""
    away = np.hypot(*np.meshgrid(one.a, one.b))
    ring = one.loss[np.abs(away - DISTANCE) < 0.06]
    return float(np.median(ring) - one.loss[len(one.b) // 2, len(one.a) // 2])
