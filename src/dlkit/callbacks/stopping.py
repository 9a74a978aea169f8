"""Rules that end a run early. Each sets `state.stop` to its reason."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic
from typing import Any, Literal

from dlkit.callbacks.base import Callback
from dlkit.metrics import higher_is_better
from dlkit.state import State
from dlkit.types import NonNegative, Positive, PositiveInt


class EarlyStop(Callback):
    """Stops when `monitor` has not improved by more than `min_delta` in `patience` evaluations (Prechelt 1998).

    `mode` says whether less (min) or more (max) is better; null: max for accuracy and r2, else min.
    """

    def __init__(
        self,
        *,
        patience: PositiveInt | None = None,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] | None = None,
        min_delta: NonNegative = 0.0,
    ):
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self.sign = -1 if higher_is_better(monitor, mode) else 1
        self.best: float | None = None  # times sign: less is better
        self.waited = 0

    def check(self, figures: Collection[str]) -> None:
        if self.patience is not None and self.monitor not in figures:
            there = ", ".join(figures) or "none without a validation split"
            raise ValueError(f"callbacks.early_stop.monitor={self.monitor}: no such figure; there are {there}")

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        if self.patience is None:
            return
        value = self.sign * figures[self.monitor]
        if value == value and (self.best is None or value < self.best - self.min_delta):  # nan is no improvement
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            state.stop = f"{self.monitor} did not improve in {self.patience} evaluations"

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]


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
