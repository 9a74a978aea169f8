"""Writes every figure of the run to `metrics.jsonl`, a line per log and per evaluation."""

from __future__ import annotations

import json
from typing import IO

from dlkit.callbacks.base import Callback
from dlkit.rundir import plain
from dlkit.state import State


class Record(Callback):
    """`{"step": …, "epoch": …, "seconds": …, "train/loss": …, …}` a line; made for grep and pandas."""

    def __init__(self) -> None:
        self.file: IO[str] | None = None

    def on_start(self, state: State) -> None:
        self.file = (state.folder / "metrics.jsonl").open("a", encoding="utf-8")

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        self._write(state, figures)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        self._write(state, figures)

    def _write(self, state: State, figures: dict[str, float]) -> None:
        assert self.file is not None
        head = {"step": state.step, "epoch": round(state.epoch, 4), "seconds": round(state.seconds, 4)}
        self.file.write(json.dumps(plain(head | figures)) + "\n")

    def on_checkpoint(self, state: State) -> None:
        assert self.file is not None
        self.file.flush()

    def on_end(self, state: State) -> None:
        if self.file:
            self.file.close()
