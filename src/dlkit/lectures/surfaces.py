"""Functions of two weights to descend: a model, a loss, data and a callback, all named by the config as any others are.

The model's output is the function's value at its weights, the loss is the output, the one example is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dlkit.callbacks.base import Callback
from dlkit.data.examples import Examples
from dlkit.rundir import whole
from dlkit.state import State
from dlkit.types import NonNegative, Spec

Name = Literal["ravine", "saddle", "rosenbrock", "himmelblau"]
FILE = "trajectory.npy"


class Shape(NamedTuple):
    """A surface, where a descent begins, where its minima are, and what a picture shows of it."""

    function: Callable[[Any, Any], Any]  # of w₁ and w₂: numbers, arrays or tensors
    start: tuple[float, float]
    minima: tuple[tuple[float, float], ...]
    limits: tuple[float, float, float, float]  # least and largest w₁, least and largest w₂
    formula: str


SURFACES: dict[str, Shape] = {
    "ravine": Shape(lambda u, v: 0.1 * u**2 + 2 * v**2, (-5, -2), ((0, 0),), (-6, 2.5, -3, 3), "0.1 w₁² + 2 w₂²"),
    "saddle": Shape(
        lambda u, v: u**2 + (v**2 - 1) ** 2 / 20,
        (-2, 0.05),
        ((0, 1), (0, -1)),
        (-2.4, 2, -1.4, 1.6),
        "w₁² + (w₂² − 1)²/20",
    ),
    "rosenbrock": Shape(  # Rosenbrock 1960
        lambda u, v: (1 - u) ** 2 + 100 * (v - u**2) ** 2,
        (-1.2, 1),
        ((1, 1),),
        (-1.8, 1.6, -0.6, 2),
        "(1 − w₁)² + 100 (w₂ − w₁²)²",
    ),
    "himmelblau": Shape(  # Himmelblau 1972
        lambda u, v: (u**2 + v - 11) ** 2 + (u + v**2 - 7) ** 2,
        (0.5, 4.5),
        ((3, 2), (-2.805118, 3.131313), (-3.77931, -3.283186), (3.584428, -1.848127)),
        (-5, 5, -5, 5),
        "(w₁² + w₂ − 11)² + (w₁ + w₂² − 7)²",
    ),
}


class Surface(nn.Module):
    """The value at its weights, the same for every example: (B, …) -> (B, 1).

    The weights begin at the surface's start, moved by N(0, noise²) each.
    """

    def __init__(self, spec: Spec, outputs: int, *, name: Name, noise: NonNegative = 0.0):
        super().__init__()
        self.function, start = SURFACES[name][:2]
        self.w = nn.Parameter(torch.tensor(start) + noise * torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = self.function(self.w[0], self.w[1])
        return value.expand(len(x), 1)


class Output:
    """The model's only output, whatever the target."""

    outputs = 1

    def __init__(self, spec: Spec):
        pass

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        return out[:, 0]

    def probabilities(self, out: Tensor) -> Tensor:
        raise ValueError("a function's value gives no probabilities")


def one_example() -> Examples:
    """A single example, a zero with target zero: an epoch is a step."""
    return Examples("tabular", "regression", {"train": (torch.zeros(1, 1), torch.zeros(1, 1))})


class Trajectory(Callback):
    """Writes all weights at the start and after each step to `trajectory.npy`, float32 (steps + 1, weights).

    In the order of `model.parameters()`. For a model of few weights: it copies them all at every step.
    """

    writes = True

    def __init__(self) -> None:
        self.points: list[Tensor] = []

    def on_start(self, state: State) -> None:
        self.points = self.points or [_weights(state)]

    def on_step(self, state: State) -> None:
        self.points.append(_weights(state))

    def on_end(self, state: State) -> None:
        if self.points:
            with whole(state.folder / FILE) as temporary, temporary.open("wb") as file:
                np.save(file, torch.stack(self.points).cpu().numpy())

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.points = list(state["points"])


def trajectory(folder: Path) -> np.ndarray[Any, Any]:
    """What the callback wrote in a run's folder."""
    points: np.ndarray[Any, Any] = np.load(folder / FILE)
    return points


def _weights(state: State) -> Tensor:
    return torch.cat([p.detach().flatten() for p in state.model.parameters()]).clone()
