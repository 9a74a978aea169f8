"""TensorBoard, in the run's own folder."""

from __future__ import annotations

import json
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from time import sleep, time
from typing import Any

from dlkit.callbacks.base import Callback
from dlkit.callbacks.panels.panel import Board
from dlkit.log import log
from dlkit.settings import leaves
from dlkit.state import State


class TensorBoard(Callback):
    """Writes every logged figure under its name (train/loss, val/accuracy, lr, …) against the step.

    Besides: the config as text, the graph of the model (`graph`), and, once the run is over, its options, final figures
    and those of its best weights (val_best/accuracy) for the HParams tab, all in the run's own folder; over a sweep's
    folder the tab has a row for each job. After a resume, what had been written past the checkpoint is purged, so that
    no curve overlaps itself.
    """

    writes = True

    def __init__(self, *, graph: bool = True) -> None:
        self.graph = graph
        self.writer: Any = None  # made at the start
        self.traced: Any = None  # the graph
        self.twin: TensorBoard | None = None  # of another run of the same model, whose graph is the same

    def on_start(self, state: State) -> None:
        from torch.utils.tensorboard import SummaryWriter  # 0.3 s: only where it is used

        resumes = state.step > 0
        if resumes:
            _wait_for_a_later_name(state.folder)
        self.writer = SummaryWriter(str(state.folder), purge_step=state.step + 1 if resumes else None)
        state.board = Board(self.writer)
        if resumes:
            self.graph = False
            return
        text = "\n".join(f"    {key}: {value}" for key, value in leaves(state.config))
        self.writer.add_text("config", text, 0)

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        state.board.scalars(figures, state.step)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        self.on_log(state, figures)

    def on_checkpoint(self, state: State) -> None:
        if self.graph and state.example is not None:
            self._write_graph(state)  # only now: nobody waits for the first step so long
            self.graph = False
        self.writer.flush()

    def on_result(self, state: State, result: dict[str, Any]) -> None:
        if self.writer is None:
            return
        if result["status"] != "interrupted":  # a resume will have the last word
            state.board.scalars(_figures(result), state.step)
            self._write_hparams(state)
        self.writer.close()

    def _write_graph(self, state: State) -> None:
        from torch.random import fork_rng
        from torch.utils.tensorboard._pytorch_graph import graph

        training = state.model.training
        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()), fork_rng([]):
                warnings.simplefilter("ignore")  # the tracer's
                self.traced = (self.twin and self.twin.traced) or graph(state.model.eval(), state.example)
            self.writer.file_writer.add_graph(self.traced)
        except Exception as error:  # any model can train, but not every one can be traced
            log.warning("no graph in TensorBoard: %s", str(error).strip().split("\n")[0])
        if training:
            state.train_mode()

    def _write_hparams(self, state: State) -> None:
        """`SummaryWriter.add_hparams` would make a run of its own for them.

        Which options and figures there are is left out, as TensorBoard would believe the first run it finds; so it
        gathers them from all runs it reads, and shows first the options in which these differ. Of callbacks those
        that were typed: a hundred columns more would push the figures out of sight.
        """
        from torch.utils.tensorboard.summary import hparams

        env = _environment(state.folder)
        typed = {str(word).lstrip("+").partition("=")[0] for word in env.get("arguments", ())}
        options = {
            key: value if isinstance(value, bool | int | float) else str(value)
            for key, value in [*env.get("choices", {}).items(), *leaves(state.config)]
            if key != "run_dir"  # differs always and says nothing
            and not key.endswith("_target_")
            and (not key.startswith("callbacks.") or key in typed)
        }
        for summary in hparams(options, {})[1:]:
            self.writer.file_writer.add_summary(summary)


def _figures(result: dict[str, Any]) -> dict[str, float]:
    """What no event told: the test split with the final model, and validation and test with the best weights."""
    best = result.get("best") or {}
    figures = best.get("metrics") or ({best["metric"]: best["value"]} if best else {})
    kept = {name.replace("/", "_best/", 1): value for name, value in figures.items() if not name.startswith("train/")}
    return {name: value for name, value in result["metrics"].items() if name.startswith("test/")} | kept


def _environment(folder: Path) -> dict[str, Any]:
    """The arguments typed, and the file chosen of each group, among others."""
    path = folder / "env.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _wait_for_a_later_name(folder: Path) -> None:
    """TensorBoard reads files in the order of their names, which hold the second of their making, then the process.

    A run resumed within that second could be read before what it continues, and be purged in its place.
    """
    newest = max((int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")), default=0)
    while int(time()) <= newest:
        sleep(0.02)
