"""The loss on a plane through a model's weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dlkit.evaluation.data import read
from dlkit.measure import Measure
from dlkit.regularizers import NORMS
from dlkit.rng import stream
from dlkit.trained import Trained
from dlkit.trainer import evaluate
from dlkit.types import Batch

AT_ONCE = 256  # examples of a forward pass: more leave the caches
EXAMPLES, DIRECTIONS = 0, 1  # what a seed draws

Array = NDArray[np.float64]
Direction = Sequence[Tensor]  # a tensor for each of `model.parameters()`
Watch = Callable[[Iterable[int]], Iterable[int]]  # goes through the points, and may show how far it is


class Surface(NamedTuple):
    """`loss[i, j]` is the loss at weights `w + a[j] d₁ + b[i] d₂`; infinite where it is not finite."""

    a: Array  # (A,)
    b: Array  # (B,)
    loss: Array  # (B, A)


def examples(trained: Trained, split: str = "train", count: int = 1000, *, seed: int = 0) -> list[Batch]:
    """`count` examples of a split of the run's data, or all if there are fewer, drawn by the seed; in batches.

    Not augmented, and of the whole split, whatever `trainer.limit_batches` is. Raises ValueError for an unknown split.
    """
    seen = read(replace(trained, trainer=replace(trained.trainer, limit_batches=0)))
    (split,) = seen.chosen(split)
    chosen = torch.zeros(seen.data.split_sizes[split], dtype=torch.bool)
    chosen[torch.randperm(len(chosen), generator=stream(EXAMPLES, seed))[:count]] = True
    parts, start = [], 0
    for batch in seen.data.eval(split):
        rows = chosen[start : start + len(batch.y)].nonzero().squeeze(1).to(batch.y.device)
        start += len(batch.y)
        if len(rows):
            parts.append(Batch(batch.x[rows], batch.y[rows]))
    return list(_merged(parts, trained.spec.kind))


def filter_normalised(model: nn.Module, generator: torch.Generator) -> Direction:
    """A random direction, N(0, 1), in which every filter is as long as that of the weights: `d_i ‖w_i‖ / ‖d_i‖` (Li et
    al. 2018, "Visualizing the loss landscape of neural nets", section 4).

    A filter is what one output of a layer has for weights: `weight[i]`, of an embedding the vector of a word. So
    weights that are made larger without changing what the net computes, as before ReLU or batch norm, do not make the
    picture flatter. Biases and the scales of norm layers stay: their direction is 0.
    """
    scales = {p for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    made = []
    for p in model.parameters():
        d = torch.randn(p.shape, generator=generator).to(p)  # drawn on the CPU: the same on every device
        is_weight = p.ndim >= 2 and p not in scales
        made.append(d * (_length(p) / _length(d)) if is_weight else torch.zeros_like(p))
    return made


def directions(model: nn.Module, seed: int = 0) -> tuple[Direction, Direction]:
    """Two random filter-normalised directions; in as many dimensions they are all but at right angles."""
    generator = stream(DIRECTIONS, seed)
    return filter_normalised(model, generator), filter_normalised(model, generator)


@torch.no_grad()
def surface(
    trained: Trained,
    batches: Sequence[Batch],
    plane: tuple[Direction, Direction],
    a: Array,
    b: Array,
    *,
    watch: Watch = iter,
) -> Surface:
    """The mean loss of the examples at every point of the grid `w + a d₁ + b d₂`, without penalties.

    In evaluation mode: batch norm has the statistics of the trained weights everywhere, as in the paper. The model is
    as it was afterwards, to the bit. Costs a pass over the examples for each point.
    """
    measure = trained.measure
    only_loss = Measure(measure.loss, {}, device=measure.device, dtype=measure.dtype)
    loss = np.empty((len(b), len(a)))
    with moving(trained.model) as move:
        for point in watch(range(loss.size)):
            i, j = divmod(point, len(a))
            move(plane, a[j], b[i])
            loss[i, j] = evaluate(only_loss, trained.model, batches, "at")["at/loss"]
    return Surface(a, b, np.where(np.isfinite(loss), loss, np.inf))


@contextmanager
def moving(model: nn.Module) -> Iterator[Callable[[tuple[Direction, Direction], float, float], None]]:
    """Gives what sets the weights to `w + a d₁ + b d₂`; afterwards they are w again."""
    start = [p.detach().clone() for p in model.parameters()]

    def move(plane: tuple[Direction, Direction], a: float, b: float) -> None:
        for p, w, d1, d2 in zip(model.parameters(), start, *plane, strict=True):
            p.copy_(w + a * d1 + b * d2)

    try:
        yield move
    finally:
        for p, w in zip(model.parameters(), start, strict=True):
            p.copy_(w)


def _length(weight: Tensor) -> Tensor:
    """Of each filter, (units, 1, …)."""
    return weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.ndim - 1))


def _merged(parts: Sequence[Batch], kind: str) -> Iterator[Batch]:
    """Neighbours as batches of about `AT_ONCE` examples, sequences padded to the longest."""
    held: list[Batch] = []
    for i, part in enumerate(parts):
        held.append(part)
        if i + 1 == len(parts) or sum(len(one.y) for one in held) >= AT_ONCE:
            yield Batch(torch.cat(_padded([one.x for one in held], kind)), torch.cat([one.y for one in held]))
            held = []


def _padded(xs: list[Tensor], kind: str) -> list[Tensor]:
    """Sequences (B, T, …) of one length: token 0, or NaN, behind the shorter ones."""
    if kind not in ("tokens", "waveform"):
        return xs
    longest = max(x.shape[1] for x in xs)
    fill: Any = 0 if kind == "tokens" else torch.nan
    return [F.pad(x, [*[0, 0] * (x.ndim - 2), 0, longest - x.shape[1]], value=fill) for x in xs]
