"""TensorBoard scalars, in the run's own folder."""

from __future__ import annotations

from typing import Any

from dlkit.callbacks.base import Callback
from dlkit.state import State


class TensorBoard(Callback):
    """Writes every logged figure under its name (train/loss, val/accuracy, lr, …) against the step."""

    def __init__(self) -> None:
        self.writer: Any = None  # made at the start

    def on_start(self, state: State) -> None:
        from torch.utils.tensorboard import SummaryWriter  # 0.3 s: only where it is used

        self.writer = SummaryWriter(str(state.folder), purge_step=state.step + 1 if state.step else None)

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, state.step)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        self.on_log(state, figures)

    def on_checkpoint(self, state: State) -> None:
        self.writer.flush()

    def on_result(self, state: State, result: dict[str, Any]) -> None:
        if self.writer is None:
            return
        for name, value in result["metrics"].items():
            if name.startswith("test/"):
                self.writer.add_scalar(name, value, state.step)
        self.writer.close()
