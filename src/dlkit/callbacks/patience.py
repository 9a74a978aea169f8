"""How long a figure has not improved, and callbacks that act when that is too long."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, Literal

from dlkit.callbacks.base import Callback
from dlkit.metrics import higher_is_better
from dlkit.state import State

TRAINING = "train/"  # figures of logs, the others are of evaluations


class Patience:
    """Counts the evaluations in which `monitor` has not improved by more than `min_delta`; of train/… the logs.

    `mode` says whether less (min) or more (max) is better; null: max for accuracy and r2, else min.
    """

    def __init__(self, *, monitor: str, mode: Literal["min", "max"] | None = None, min_delta: float = 0.0):
        self.monitor, self.min_delta = monitor, min_delta
        self.sign = -1 if higher_is_better(monitor, mode) else 1
        self.best: float | None = None  # times sign: less is better
        self.waited = 0

    def see(self, figures: dict[str, float]) -> None:
        """Takes the figures of an evaluation or of a log; those without `monitor` are passed by."""
        if self.monitor not in figures:
            return
        value = self.sign * figures[self.monitor]
        if value == value and (self.best is None or value < self.best - self.min_delta):  # nan is no improvement
            self.best, self.waited = value, 0
        else:
            self.waited += 1

    @property
    def unit(self) -> str:
        return "logs" if self.monitor.startswith(TRAINING) else "evaluations"

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]


class Patient(Callback, ABC):
    """Acts at every evaluation (of train/…: log) where `counter` has waited for `patience` of them or more.

    With None it never does. `name` is that of the callback in the config.
    """

    name: str

    def __init__(self, patience: int | None, counter: Patience):
        self.patience, self.counter = patience, counter

    @abstractmethod
    def act(self, state: State, patience: int) -> None:
        """Patience is at its end."""

    def check(self, figures: Collection[str]) -> None:
        if self.patience is not None:
            check_figure(f"callbacks.{self.name}.monitor", self.counter.monitor, figures)

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        self.on_eval(state, figures)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        if self.patience is None:
            return
        self.counter.see(figures)
        if self.counter.waited >= self.patience:
            self.act(state, self.patience)

    def state_dict(self) -> dict[str, Any]:
        return self.counter.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counter.load_state_dict(state)


def check_figure(key: str, monitor: str, figures: Collection[str]) -> None:
    """Raises ValueError where no log and no evaluation brings `monitor`; `figures` are those of evaluations."""
    logged = {"train/loss", "train/grad_norm", *(f"train/{name.partition('/')[2]}" for name in figures)}
    if monitor not in figures and monitor not in logged:
        there = ", ".join(figures) or "none without a validation split"
        raise ValueError(f"{key}={monitor}: no such figure; there are {there}, and train/loss and the like at each log")
