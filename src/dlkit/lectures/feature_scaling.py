"""Descent crawls on raw features and is quick on standardised ones: the loss is a ravine there, and a bowl here.

A line is fitted, so the loss has two weights and can be seen whole. The ravine is as long for its width as the numbers'
mean is far from 0 for their deviation: scaling to [0, 1] helps, and moving the mean to 0 as well helps more. That holds
for plain descent; optimisers with a rate for each weight, Adam among them, suffer less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.data.examples import Examples
from dlkit.data.tables.small import diabetes
from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.lectures.surfaces import trajectory
from dlkit.plots.contours import contours, minimum, path, start
from dlkit.plots.style import axes_of, blank, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
NAMES = {"none": "raw", "minmax": "scaled to [0, 1]", "standardize": "standardised"}


def body_mass() -> Examples:
    """The diabetes set with one measurement of the ten, the body mass index: 18 to 42 kg/m²."""
    examples = diabetes()
    x, y = examples.splits["train"]
    return replace(examples, splits={"train": (x[:, 2:3], y)})


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(7, 6.5)
    first, *panels = axes_of(picture, 2, 2)
    above, conditions = {}, {}
    for i, (run, axes) in enumerate(zip(runs, panels, strict=True)):
        name = NAMES[run.options["data.normalize"]]
        bowl = Bowl(run)
        points = trajectory(run.folder)
        above[name] = bowl.above(points)
        conditions[name] = np.linalg.cond(bowl.hessian)
        first.plot(above[name], **line(i), label=f"{name}, η = {run.options['optim.lr']:g}")
        draw(axes, bowl, points, i)
        axes.set(title=name, xlabel="slope", ylabel="intercept")
    first.set(xlabel="step", ylabel="training loss above its minimum", yscale="log", ylim=(1e-9, 10))
    first.legend(loc="lower right")
    left = {name: values[-1] / values[0] for name, values in above.items()}
    raw, scaled, standard = NAMES.values()
    return Finding(
        picture,
        [
            at_least("largest curvature by smallest, raw", conditions[raw], 1000),
            at_most("the same, standardised", conditions[standard], 1.01),
            at_least("loss left after 100 steps, raw", left[raw], 0.5),
            at_most("the same, scaled to [0, 1]", left[scaled], 0.1),
            at_most("the same, standardised", left[standard], 1e-6),
        ],
    )


class Bowl:
    """The training loss of a line, `mean (slope x + intercept − y)²`, over its two weights."""

    def __init__(self, run: Done):
        x, y = (part.double().numpy() for part in run.examples("train"))
        design = np.column_stack([x, np.ones(len(x))])
        self.hessian: Array = 2 * design.T @ design / len(x)
        self.lowest: Array = np.linalg.lstsq(design, y[:, 0], rcond=None)[0]

    def above(self, points: Array) -> Array:
        """The loss at points (…, 2) less the least there is."""
        away = points - self.lowest
        height: Array = np.einsum("...i,ij,...j", away, self.hessian / 2, away)
        return height


def draw(axes: Axes, bowl: Bowl, points: Array, index: int) -> None:
    """The loss as far as it is as low as at the start, and the path."""
    reach = 1.2 * np.sqrt(bowl.above(points[0]) * np.diag(np.linalg.inv(bowl.hessian / 2)))
    x, y = (np.linspace(m - r, m + r, 300) for m, r in zip(bowl.lowest, reach, strict=True))
    contours(axes, x, y, bowl.above(np.stack(np.meshgrid(x, y), -1)))
    path(axes, points, index)
    start(axes, points[0])
    minimum(axes, bowl.lowest)
