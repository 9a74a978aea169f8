"""The way that a run's weights went in training, on the plane that shows most of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlkit.landscape.kept import FEWEST, kept
from dlkit.landscape.surface import Array, Direction
from dlkit.rundir import load
from dlkit.trained import Trained

MARGIN = 0.3  # of the way's extent, shown on each side of it


class Trajectory(NamedTuple):
    """Where the weights were, `w_t ≈ w_end + a_t d₁ + b_t d₂`, in units of the weights; the last is (0, 0)."""

    steps: list[int]  # optimiser updates
    points: Array  # (T, 2)
    plane: tuple[Direction, Direction]  # of length 1, at right angles
    explained: tuple[float, float]  # part of the variance of the weights over the checkpoints, of each direction

    def grid(self, points: int) -> tuple[Array, Array]:
        """Coordinates (points,) of each direction, around the whole way."""
        low, high = self.points.min(0), self.points.max(0)
        room = MARGIN * np.maximum(high - low, 0.1 * (high - low).max())
        a, b = (np.linspace(low[k] - room[k], high[k] + room[k], points) for k in (0, 1))
        return a, b


def trajectory(trained: Trained) -> Trajectory:
    """The way of a run by its kept checkpoints, up to the trained weights.

    The plane is that of the first two principal components of `w_t − w_end` (Li et al. 2018, section 7), over all
    parameters. Holds all checkpoints in memory, in float64. Raises ValueError where the weights did not move.
    """
    files = {step: path for step, path in kept(trained.folder).items() if step < trained.step}
    moved = _differences(trained, list(files.values()))
    centred = moved - moved.mean(0)
    _, sizes, axes = torch.linalg.svd(centred, full_matrices=False)
    if len(moved) <= FEWEST or not sizes[0] > 0:
        raise ValueError(
            f"--trajectory: {trained.folder} kept no two checkpoints before step {trained.step} that differ"
        )
    axes = axes[:2] * torch.where(axes[:2] @ moved[0] < 0, -1.0, 1.0).unsqueeze(1)  # begins right above, as by custom
    explained = (sizes.square() / sizes.square().sum())[:2].tolist()
    plane = (_cut(axes[0], trained), _cut(axes[1], trained))
    return Trajectory([*files, trained.step], (moved @ axes.T).numpy(), plane, (explained[0], explained[1]))


def _differences(trained: Trained, files: list[Path]) -> Tensor:
    """`w_t − w_end` of every checkpoint and of the end, float64 (T, P)."""
    model = trained.model
    end = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = []
    try:
        for weights in (*(load(path)["model"] for path in files), end):
            model.load_state_dict(weights)
            rows.append(torch.cat([p.detach().flatten().double().cpu() for p in model.parameters()]))
    finally:
        model.load_state_dict(end)
    return torch.stack(rows) - rows[-1]


def _cut(vector: Tensor, trained: Trained) -> Direction:
    """A vector (P,) as a tensor for each parameter."""
    parameters = list(trained.model.parameters())
    parts = vector.split([p.numel() for p in parameters])
    return [part.view(p.shape).to(p) for part, p in zip(parts, parameters, strict=True)]
