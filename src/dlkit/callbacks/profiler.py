"""Where the time of a step goes."""

from __future__ import annotations

from typing import Any

import torch

from dlkit.callbacks.base import Callback
from dlkit.log import log
from dlkit.state import State

WAIT, WARM_UP, STEPS = 10, 3, 10  # steps made as usual, with a profiler that is thrown away, and profiled
ROWS = 25


class Profiler(Callback):
    """Profiles `STEPS` steps with torch.profiler, after the first ones, which are slower (`trainer.profile`).

    What takes the most time goes to the log, as torch's own table, and to TensorBoard's Text tab; `trace.json` in the
    run's folder is for https://ui.perfetto.dev or chrome://tracing. A run that is too short has the steps that it has.
    Such steps are slower than others; what they compute is the same.
    """

    writes = True

    def __init__(self) -> None:
        self.profiler: Any = None
        self.made = 0  # steps since the start
        self.first = 0  # of them, the first that is profiled

    def on_start(self, state: State) -> None:
        left = state.total_steps - state.step
        if left < 2:
            log.warning("trainer.profile: there are no two steps to make")
            return
        self.first = min(WAIT + WARM_UP, left // 2)
        warm = min(WARM_UP, self.first)
        when = torch.profiler.schedule(
            wait=self.first - warm, warmup=warm, active=min(STEPS, left - self.first), repeat=1
        )
        activities = [torch.profiler.ProfilerActivity.CPU]
        activities += [torch.profiler.ProfilerActivity.CUDA] if _device(state).type == "cuda" else []
        self.profiler = torch.profiler.profile(activities=activities, schedule=when, acc_events=True)
        self.profiler.start()

    def on_step(self, state: State) -> None:
        if self.profiler is None:
            return
        self.made += 1
        self.profiler.step()
        if self.made == self.first + STEPS:
            self._report(state)

    def on_end(self, state: State) -> None:
        if self.profiler is not None:
            self._report(state)

    def _report(self, state: State) -> None:
        profiler, self.profiler = self.profiler, None
        profiler.stop()
        steps = self.made - self.first
        if steps < 1:
            return
        device = "cuda" if _device(state).type == "cuda" else "cpu"
        table = profiler.key_averages().table(f"self_{device}_time_total", row_limit=ROWS, max_name_column_width=40)
        log.info("profile of steps %d to %d\n%s", state.step - steps + 1, state.step, table)
        path = state.folder / "trace.json"
        profiler.export_chrome_trace(str(path))
        log.info("trace   %s: open it in https://ui.perfetto.dev", path)
        if state.board is not None:
            state.board.writer.add_text("profile", "\n".join(f"    {line}" for line in table.splitlines()), state.step)


def _device(state: State) -> torch.device:
    return next(state.model.parameters()).device
