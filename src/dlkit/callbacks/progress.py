"""What one sees while a model trains."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from dlkit.callbacks.base import Callback
from dlkit.log import console, log
from dlkit.state import State


class ProgressBar(Callback):
    """One bar with step, rate, time left, loss, metric and learning rate; without a terminal a line per evaluation.

    The log always gets the lines. The bar is drawn at most four times a second, from the training loop itself: rich's
    own thread would cost a small model 2-5 % of its time.
    """

    writes = True

    def __init__(self) -> None:
        self.bar: Progress | None = None
        self.drawn = 0.0
        self.evaluates = True  # else a line per log instead
        self.loss, self.rate = float("nan"), 0.0

    def check(self, figures: Collection[str]) -> None:
        self.evaluates = bool(figures)

    def listens(self, event: str) -> bool:
        return event != "on_step" or console.is_terminal

    def on_start(self, state: State) -> None:
        if not console.is_terminal:
            return
        whole, cut = Column(no_wrap=True), Column(no_wrap=True, ratio=1)  # cut where there is no room
        self.bar = Progress(
            TextColumn("step", table_column=whole),
            MofNCompleteColumn(table_column=whole),
            BarColumn(bar_width=max(8, min(40, console.width // 8)), table_column=whole),
            TimeRemainingColumn(table_column=whole),
            TextColumn("{task.description}", table_column=cut),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self.task = self.bar.add_task("", total=state.total_steps if state.bounded else None, completed=state.step)
        self.bar.start()

    def on_step(self, state: State) -> None:
        if self.bar and monotonic() - self.drawn > 0.25:
            self.drawn = monotonic()
            figures = [f"loss {self.loss:.4f}"] if self.loss == self.loss else []
            figures += [f"{name} {value:.4f}" for name, value in state.metrics.items()]
            rate = f"{self.rate:,.0f} samples/s" if self.rate else ""
            text = "  ".join([*figures, f"lr {state.lr:.3g}", rate])
            self.bar.update(self.task, completed=state.step, description=text, refresh=True)

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        self.loss, self.rate = figures["train/loss"], figures["samples_per_second"]
        if not self.evaluates:
            self.on_eval(state, {})

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        text = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        loss = f"train/loss {self.loss:.4f}  " if self.loss == self.loss else ""
        log.info("epoch %-5.4g step %-7d %s%s  lr %.3g", state.epoch, state.step, loss, text, state.lr)

    def on_end(self, state: State) -> None:
        if self.bar:
            self.bar.stop()
