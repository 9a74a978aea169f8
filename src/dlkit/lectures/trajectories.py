"""Across a mild ravine descent needs no help; in a narrow curved valley momentum and Adam leave it far behind.

Real runs, each optimiser with about its best rate. Momentum is often shown to win on `0.1 w₁² + 2 w₂²`: there the
curvatures differ by 20 only, and β = 0.9 is too much of it. Adagrad's rate only falls, RMSprop's steps never die out,
the way off a saddle is short where steps do not depend on the gradient's size, and which of several minima is found
is a matter of the optimiser. Rings are starts, stars minima.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.lectures.surfaces import SURFACES, Shape, trajectory
from dlkit.plots.contours import contours, minimum, path, start
from dlkit.plots.style import axes_of, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR = 0.1  # of a minimum
TITLES = {"rosenbrock": "valley (rosenbrock)", "himmelblau": "hills (himmelblau)"}
COMPARED = {"sgd", "momentum", "adagrad", "rmsprop", "adam"}
Array = np.ndarray[Any, Any]
Paths = Mapping[str, Array]  # by optimiser


def figure(runs: Sequence[Done]) -> Finding:
    paths: dict[str, dict[str, Array]] = {}
    for run in runs:
        paths.setdefault(run.options["model.name"], {})[run.choices["optim"]] = trajectory(run.folder)
    columns = min(len(paths), 2)
    rows = -(-len(paths) // columns)
    picture = blank(3.5 * columns, 3.5 * rows + 0.5)
    places = axes_of(picture, rows, columns)
    for axes, (name, of_one) in zip(places, paths.items(), strict=False):
        draw(axes, name, of_one)
    for empty in places[len(paths) :]:
        empty.remove()
    handles, labels = axes.get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 3 * columns))
    rates = {run.choices["optim"]: run.options["optim.lr"] for run in runs if run.options["model.name"] == "ravine"}
    return Finding(picture, checks({name: of_one for name, of_one in paths.items() if set(of_one) >= COMPARED}, rates))


def draw(axes: Axes, name: str, paths: Paths) -> None:
    """The surface with this name, and the ways across it."""
    shape: Shape = SURFACES[name]
    left, right, low, high = shape.limits
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    contours(axes, x, y, shape.function(x, y))
    for i, (optimiser, points) in enumerate(paths.items()):
        path(axes, points, i, label={"sgd": "gradient descent"}.get(optimiser, optimiser))
    start(axes, next(iter(paths.values()))[0])
    minimum(axes, *shape.minima)
    axes.set(
        title=f"{TITLES.get(name, name)}\n{shape.formula}",
        xlabel="w₁",
        ylabel="w₂",
        xlim=(left, right),
        ylim=(low, high),
    )


def checks(paths: Mapping[str, Paths], rates: Mapping[str, float]) -> list[Check]:
    """Of the surfaces that all the optimisers went across."""
    found = {
        "ravine": lambda ways: _ravine(ways, rates["sgd"]),
        "saddle": _saddle,
        "rosenbrock": _valley,
        "himmelblau": lambda ways: [at_least("hills: different minima found", len(_ends(ways)), 2)],
    }
    return [check for name, ways in paths.items() for check in found[name](ways)]


def _ravine(ways: Paths, rate: float) -> list[Check]:
    steps = {name: arrival("ravine", points) for name, points in ways.items()}
    closed = ways["sgd"][0] * (1 - 2 * rate * np.array([[0.1, 2]])) ** np.arange(len(ways["sgd"]))[:, None]
    return [
        at_most("ravine: gradient descent from w₀ (1 − 2ηλ)ᵗ", np.abs(ways["sgd"] - closed).max(), 1e-5),
        at_least("ravine: momentum's steps to the minimum, in gradient descent's", steps["momentum"] / steps["sgd"], 1),
        at_most("ravine: Adagrad's tenth rate, in its first", _rate(ways["adagrad"], 9), 0.8),
        at_least("ravine: RMSprop's distance at the end", distances("ravine", ways["rmsprop"])[-1], 0.01),
        at_most("ravine: Adam's distance at the end", distances("ravine", ways["adam"])[-1], 0.01),
    ]


def _saddle(ways: Paths) -> list[Check]:
    leaving = {name: int(np.argmax(np.abs(points[:, 1]) > 0.5)) for name, points in ways.items()}
    return [at_least("saddle: gradient descent's steps off it, in Adagrad's", leaving["sgd"] / leaving["adagrad"], 1.5)]


def _valley(ways: Paths) -> list[Check]:
    away = {name: distances("rosenbrock", points)[-1] for name, points in ways.items()}
    return [
        at_least("valley: gradient descent's distance at the end", away["sgd"], 0.5),
        at_most("valley: momentum's", away["momentum"], 0.1),
        at_most("valley: Adam's", away["adam"], 0.1),
    ]


def _ends(ways: Paths) -> set[int]:
    return {nearest("himmelblau", points) for points in ways.values()}


def distances(name: str, points: Array) -> Array:
    """From the nearest minimum, at every step."""
    minima = np.array(SURFACES[name].minima, dtype=float)
    away: Array = np.linalg.norm(points[:, None] - minima, axis=2).min(1)
    return away


def nearest(name: str, points: Array) -> int:
    """The number of the minimum next to the end."""
    minima = np.array(SURFACES[name].minima, dtype=float)
    return int(np.linalg.norm(points[-1] - minima, axis=1).argmin())


def arrival(name: str, points: Array) -> float:
    """Steps until it is near a minimum and stays there; infinite where it never does."""
    far = np.flatnonzero(distances(name, points) >= NEAR)
    return float(far[-1] + 1) if far[-1] + 1 < len(points) else np.inf


def _rate(points: Array, step: int) -> float:
    """Of a step along the ravine, `Δw₁ / (∂f/∂w₁)`, in that of the first."""
    moved = np.diff(points[:, 0]) / points[:-1, 0]
    return float(moved[step] / moved[0])
