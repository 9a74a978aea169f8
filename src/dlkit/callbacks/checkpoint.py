"""Saves the run: `last.pt` to go on from, `best.pt` to use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Literal

import torch

from dlkit.callbacks.base import Callback
from dlkit.metrics import higher_is_better
from dlkit.rundir import save
from dlkit.state import State


class Checkpoint(Callback):
    """Keeps `checkpoints/last.pt`, all that a resume needs, and `checkpoints/best.pt`, the weights with the best
    `monitor` of all evaluations (the averaged weights where there is an average).

    `mode` says whether the smallest (min) or largest (max) value is best; null: max for accuracy and r2, else min.
    The best weights are remembered in memory at once and written when the run is saved (`trainer.save_every`), so that
    a run of a second does not spend it on its disk.
    """

    def __init__(self, *, monitor: str = "val/loss", mode: Literal["min", "max"] | None = None):
        self.monitor = monitor
        self.higher = higher_is_better(monitor, mode)
        self.best_weights: dict[str, torch.Tensor] | None = None  # not yet written

    def check(self, figures: Collection[str]) -> None:
        if figures and self.monitor not in figures:
            there = ", ".join(figures)
            raise ValueError(f"callbacks.checkpoint.monitor={self.monitor}: no such figure; there are {there}")

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        value = figures[self.monitor]
        if value != value:  # nan is never best
            return
        best = state.best.get("value")
        if best is None or (value > best if self.higher else value < best):
            state.best = {"metric": self.monitor, "value": value, "step": state.step}
            self.best_weights = {name: t.detach().clone() for name, t in state.eval_model.state_dict().items()}

    def on_checkpoint(self, state: State) -> None:
        folder = state.folder / "checkpoints"
        if self.best_weights is not None:  # first, so that no last.pt names a best that is not there
            content = {"model": self.best_weights, "spec": asdict(state.spec), **state.best}
            save(content | {"encoder": state.parts["encoder"].state_dict()}, folder / "best.pt")
            self.best_weights = None
        save(state.state_dict(), folder / "last.pt")
