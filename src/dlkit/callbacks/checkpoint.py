"""Saves the run: `last.pt` to go on from, `best.pt` to use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from dlkit import dist
from dlkit.callbacks.base import Callback
from dlkit.metrics import higher_is_better
from dlkit.rundir import save
from dlkit.state import State
from dlkit.types import NonNegativeInt, PositiveInt


class Checkpoint(Callback):
    """Keeps `checkpoints/last.pt`, all that a resume needs, and `checkpoints/best.pt`, the weights with the best
    `monitor` of all evaluations (the averaged weights where there is an average).

    `mode` says whether the smallest (min) or largest (max) value is best; null: max for accuracy and r2, else min.
    The best weights are remembered in memory at once and written when the run is saved (`trainer.save_every`), so that
    a run of a second does not spend it on its disk. `top_k` keeps the weights of the k best evaluations as
    `best-<step>.pt`, `keep_every` those after every n steps as `step-<step>.pt`.
    """

    def __init__(
        self,
        *,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] | None = None,
        top_k: NonNegativeInt = 0,
        keep_every: PositiveInt | None = None,
    ):
        self.monitor, self.top_k, self.keep_every = monitor, top_k, keep_every
        self.sign = -1 if higher_is_better(monitor, mode) else 1
        self.top: list[tuple[float, int]] = []  # the best evaluations: sign · value, step
        self.beaten: list[int] = []  # steps of those that were among them, whose files are to go
        self.best_weights: dict[str, torch.Tensor] | None = None  # not yet written

    def check(self, figures: Collection[str]) -> None:
        if figures and self.monitor not in figures:
            there = ", ".join(figures)
            raise ValueError(f"callbacks.checkpoint.monitor={self.monitor}: no such figure; there are {there}")

    def listens(self, event: str) -> bool:
        return event != "on_step" or self.keep_every is not None

    def on_step(self, state: State) -> None:
        if self.keep_every and state.step % self.keep_every == 0:
            weights = state.eval_model.state_dict()
            save(content(state, weights, {"step": state.step}), folder(state) / f"step-{state.step}.pt")

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        value = figures[self.monitor]
        if value != value:  # nan is never best
            return
        found = {"metric": self.monitor, "value": value, "step": state.step}
        if not state.best or self.sign * value < self.sign * state.best["value"]:
            state.best = found
            self.best_weights = {name: t.detach().clone() for name, t in state.eval_model.state_dict().items()}
        if self.top_k:
            self._keep_top(state, found)

    def on_checkpoint(self, state: State) -> None:
        if self.best_weights is not None:  # first, so that no last.pt names a best that is not there
            save(content(state, self.best_weights, state.best), folder(state) / "best.pt")
            self.best_weights = None
        save(state.state_dict(), folder(state) / "last.pt")
        for step in self.beaten if dist.rank() == 0 else ():  # only now does no last.pt name them
            _best_file(state, step).unlink(missing_ok=True)
        self.beaten.clear()

    def _keep_top(self, state: State, found: dict[str, Any]) -> None:
        self.top = sorted([*self.top, (self.sign * found["value"], state.step)])
        if (self.sign * found["value"], state.step) in self.top[: self.top_k]:
            save(content(state, state.eval_model.state_dict(), found), _best_file(state, state.step))
        self.beaten += [step for _, step in self.top[self.top_k :]]
        self.top = self.top[: self.top_k]

    def newest(self, state: State, count: int) -> list[Path]:
        """The files of the last `count` checkpoints of `keep_every` that are there, the newest last."""
        every = self.keep_every or state.step + 1
        steps = range(every, state.step + 1, every)[-count:]
        return [path for step in steps if (path := folder(state) / f"step-{step}.pt").is_file()]

    def best(self, state: State, count: int) -> list[Path]:
        """The files of the best `count` evaluations of `top_k` that are there, the newest last."""
        steps = sorted(step for _, step in self.top[:count])
        return [path for step in steps if (path := _best_file(state, step)).is_file()]

    def state_dict(self) -> dict[str, Any]:
        return {"top": [list(one) for one in self.top]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.top = [(value, step) for value, step in state["top"]]


def folder(state: State) -> Path:
    """Where the checkpoints of a run are."""
    return state.folder / "checkpoints"


def _best_file(state: State, step: int) -> Path:
    return folder(state) / f"best-{step}.pt"


def content(state: State, weights: dict[str, torch.Tensor], what: dict[str, Any]) -> dict[str, Any]:
    """What is needed to use weights: they, the data they were made for, how raw examples are encoded, their step."""
    encoder = state.parts["encoder"].state_dict()
    return {"model": weights, "spec": asdict(state.spec), "encoder": encoder, **what}
