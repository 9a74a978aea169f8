"""Rules that end a run early. Each sets `state.stop` to its reason."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.callbacks.base import Callback
from dlkit.callbacks.patience import Patience, Patient, check_figure
from dlkit.metrics import higher_is_better
from dlkit.state import State
from dlkit.types import NonNegative, Positive, PositiveInt


class EarlyStop(Patient):
    """Stops when `monitor` has not improved by more than `min_delta` in `patience` evaluations (Prechelt 1998).

    A figure of training (train/loss) is looked at in every log instead. `mode` says whether less (min) or more (max) is
    better; null: max for accuracy and r2, else min.
    """

    name = "early_stop"

    def __init__(
        self,
        *,
        patience: PositiveInt | None = None,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] | None = None,
        min_delta: NonNegative = 0.0,
    ):
        super().__init__(patience, Patience(monitor=monitor, mode=mode, min_delta=min_delta))

    def listens(self, event: str) -> bool:
        return self.patience is not None

    def act(self, state: State, patience: int) -> None:
        state.stop = f"{self.counter.monitor} did not improve in {patience} {self.counter.unit}"


class Stop(Callback):
    """Stops when a quantity is small or good enough; each rule is off where its number is null.

    `grad_norm`: the norm of the gradient of the last batch is below it (with data.batch_size=full that of the loss
    itself; after clipping). `weight_change`: `‖w − w'‖/‖w‖` is, w' being the weights at the log before. `target`:
    `monitor` has come to it, from above or (accuracy, r2) from below. All are looked at when figures are there anyway,
    at logs and evaluations, so that no step waits for the device.
    """

    def __init__(
        self,
        *,
        grad_norm: Positive | None = None,
        weight_change: Positive | None = None,
        target: float | None = None,
        monitor: str = "train/loss",
    ):
        self.grad_norm, self.weight_change = grad_norm, weight_change
        self.target, self.monitor = target, monitor
        self.rises = higher_is_better(monitor, None)
        self.before: list[Tensor] = []  # the weights at the last log

    def check(self, figures: Collection[str]) -> None:
        if self.target is not None:
            check_figure("callbacks.stop.monitor", self.monitor, figures)

    def on_start(self, state: State) -> None:
        if self.weight_change is not None:
            now = _copy(state)
            self.before = [old.to(new.device) for old, new in zip(self.before or now, now, strict=True)]

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        if self.grad_norm is not None and figures["train/grad_norm"] < self.grad_norm:
            state.stop = f"the gradient's norm {figures['train/grad_norm']:.3g} is below {self.grad_norm:g}"
        if self.weight_change is not None and not state.done:  # the last log may come a step after the one before
            self._compare(state, self.weight_change)
        self.on_eval(state, figures)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        if self.target is None or self.monitor not in figures:
            return
        value = figures[self.monitor]
        if value >= self.target if self.rises else value <= self.target:
            state.stop = f"{self.monitor} {value:.4g} has reached {self.target:g}"

    def _compare(self, state: State, least: float) -> None:
        now = _copy(state)
        moved = torch.nn.utils.get_total_norm([new - old for new, old in zip(now, self.before, strict=True)])
        change = (moved / torch.nn.utils.get_total_norm(now)).item()  # sync point: once a log
        self.before = now
        if change < least:
            state.stop = f"the weights changed by {change:.3g} of their norm since the last log, less than {least:g}"

    def state_dict(self) -> dict[str, Any]:
        return {"before": self.before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before = state["before"]


class TimeLimit(Callback):
    """Stops after `minutes` of wall time, evaluations included."""

    def __init__(self, minutes: Positive):
        self.minutes = minutes
        self.before = 0.0  # seconds used before a resume
        self.start = monotonic()

    def on_start(self, state: State) -> None:
        self.start = monotonic()

    def on_step(self, state: State) -> None:
        if self._seconds() >= 60 * self.minutes:
            state.stop = f"the time limit of {self.minutes:g} minutes"

    def _seconds(self) -> float:
        return self.before + monotonic() - self.start

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before = state["seconds"]


def _copy(state: State) -> list[Tensor]:
    """The weights that are trained, as they are now."""
    return [p.detach().clone() for p in state.model.parameters() if p.requires_grad]
