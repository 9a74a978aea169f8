"""Metrics of a split, exact over batches of any length.

Each metric gives statistics per example, `(out (B, K), y) -> (B,)` or `(B, S)`; an evaluation averages them over all
examples, and `finish` turns the mean into the figure. None of them waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from dlkit.types import Spec


class Metric(NamedTuple):
    """A figure of a split; `higher` says that more is better."""

    per_example: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor], Tensor] = lambda mean: mean
    higher: bool = False


class Unit:
    """The units of the targets (T,), on the device of a tensor; copied there once, since copies make a GPU wait."""

    def __init__(self, deviations: tuple[float, ...]):
        self._on = {torch.device("cpu"): torch.tensor(deviations)}

    def __call__(self, like: Tensor) -> Tensor:
        if like.device not in self._on:
            self._on[like.device] = self._on[torch.device("cpu")].to(like.device)
        return self._on[like.device]


def predicted_class(out: Tensor) -> Tensor:
    """The class an output stands for, (B, K) -> (B,): the sign of a single logit, else the largest of K."""
    return (out[..., 0] > 0).long() if out.shape[-1] == 1 else out.argmax(-1)


def correct(out: Tensor, y: Tensor) -> Tensor:
    """1 where the predicted class is the true one, else 0; `y` holds classes (B,) or distributions (B, K)."""
    return (predicted_class(out) == (y.argmax(-1) if y.ndim > 1 else y)).to(torch.float32)


def zero_one(out: Tensor, y: Tensor) -> Tensor:
    """The 0-1 loss `[M ≤ 0]`, which margin losses bound from above; a tie is wrong, and so is nan.

    The margin M is `±out` for a single logit, else the true class's output less the largest of the others.
    """
    y = y.argmax(-1) if y.ndim > 1 else y
    if out.shape[-1] == 1:
        return (~((2 * y - 1) * out[..., 0] > 0)).to(torch.float32)
    true = y.unsqueeze(-1) == torch.arange(out.shape[-1], device=y.device)
    own = out.masked_fill(~true, -torch.inf).amax(-1)
    return (~(own > out.masked_fill(true, -torch.inf).amax(-1))).to(torch.float32)


def _error(out: Tensor, y: Tensor) -> Tensor:
    assert out.shape == y.shape, f"outputs {tuple(out.shape)} and targets {tuple(y.shape)} would broadcast"
    return out.float() - y


def absolute_error(out: Tensor, y: Tensor, unit: Unit | None = None) -> Tensor:
    """`(1/T) Σ_t |out_t − y_t| u_t`, in the targets' own units where `u` are the deviations they were divided by."""
    error = _error(out, y).abs()
    return (error if unit is None else error * unit(error)).flatten(1).mean(1)


def squared_error(out: Tensor, y: Tensor, unit: Unit | None = None) -> Tensor:
    """`(1/T) Σ_t ((out_t − y_t) u_t)²`."""
    error = _error(out, y)
    return (error if unit is None else error * unit(error)).square().flatten(1).mean(1)


def _r2_statistics(out: Tensor, y: Tensor) -> Tensor:
    error = _error(out, y)
    wide = y.float() if y.device.type == "mps" else y.double()  # y² loses the variance where the mean is far larger
    return torch.stack([error.square().to(wide.dtype), wide, wide.square()], dim=-1)  # (B, T, 3)


def _r2_finish(mean: Tensor) -> Tensor:
    """Coefficient of determination `1 − Σ(out − y)² / Σ(y − ȳ)²`, the mean over the targets."""
    error, y, y_squared = mean.unbind(-1)
    variance = y_squared - y.square()  # 0 where all targets are the same: R² is not defined there
    return (1 - error / variance.where(variance > 0, torch.nan)).mean()


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {"accuracy": Metric(correct, higher=True)},
    "regression": {
        "r2": Metric(_r2_statistics, _r2_finish, higher=True),
        "rmse": Metric(squared_error, torch.sqrt),
        "mae": Metric(absolute_error),
    },
}


def metrics_for(spec: Spec, *, margins: bool = False) -> dict[str, Metric]:
    """The metrics reported for a task besides the loss, the headline first; the 0-1 loss beside a loss of `margins`.

    RMSE and MAE are in the unit of the target, also where it is standardised for the loss.
    """
    metrics = METRICS[spec.task] | ({"zero_one": Metric(zero_one)} if margins else {})
    if spec.target_std:
        unit = Unit(spec.target_std)
        metrics["rmse"] = Metric(partial(squared_error, unit=unit), torch.sqrt)
        metrics["mae"] = Metric(partial(absolute_error, unit=unit))
    return metrics


def higher_is_better(name: str, mode: str | None = None) -> bool:
    """Whether more is better of a figure named `split/name`, unless `mode` (min or max) says it.

    Of the loss and of figures not known here less is better.
    """
    if mode is not None:
        return mode == "max"
    known = {key: metric.higher for metrics in METRICS.values() for key, metric in metrics.items()}
    return known.get(name.rpartition("/")[2], False)
