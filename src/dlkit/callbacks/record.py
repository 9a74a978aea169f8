"""Writes every figure of the run to `metrics.jsonl`, a line per log and per evaluation."""

from __future__ import annotations

import json
from typing import IO

from dlkit.callbacks.base import Callback
from dlkit.rundir import plain, write_text
from dlkit.state import State


class Record(Callback):
    """`{"step": …, "epoch": …, "seconds": …, "train/loss": …, …}` a line; made for grep and pandas."""

    writes = True

    def __init__(self) -> None:
        self.file: IO[str] | None = None

    def on_start(self, state: State) -> None:
        path = state.folder / "metrics.jsonl"
        if path.exists():  # lines after the last checkpoint will be written again
            write_text("".join(_until(path.read_text(encoding="utf-8"), state.step)), path)
        self.file = path.open("a", encoding="utf-8")

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


def _until(text: str, step: int) -> list[str]:
    """The whole lines up to `step`; the last one may be cut off by a crash."""
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if json.loads(line)["step"] <= step]
