"""Lowers the learning rate when a figure no longer improves."""

from __future__ import annotations

from typing import Any, Literal

from dlkit.callbacks.patience import Patience, Patient
from dlkit.log import log
from dlkit.state import State
from dlkit.types import Fraction, NonNegative, OpenFraction, PositiveInt


class Plateau(Patient):
    """Multiplies every base rate by `factor` when `monitor` has not improved in `patience` evaluations; counts anew.

    The schedule goes on from the lower base. The product of all factors never falls below `floor`. A figure of training
    (train/loss) is looked at in every log instead. `mode` and `min_delta` are those of EarlyStop.
    """

    name = "plateau"

    def __init__(
        self,
        *,
        patience: PositiveInt | None = None,
        factor: OpenFraction = 0.1,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] | None = None,
        min_delta: NonNegative = 0.0,
        floor: Fraction = 0.0,
    ):
        super().__init__(patience, Patience(monitor=monitor, mode=mode, min_delta=min_delta))
        self.factor, self.floor = factor, floor
        self.scale = 1.0  # of the base rates so far

    def on_start(self, state: State) -> None:
        _multiply(state, self.scale)  # a resume takes the base rates from the config

    def act(self, state: State, patience: int) -> None:
        self.counter.waited = 0
        scale = max(self.scale * self.factor, self.floor)
        if scale < self.scale:
            _multiply(state, scale / self.scale)
            self.scale = scale
            log.info("step %-7d %s is on a plateau: base rates x %.3g", state.step, self.counter.monitor, scale)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.scale = state["scale"]


def _multiply(state: State, factor: float) -> None:
    for group in state.optim.param_groups:
        group["initial_lr"] *= factor
