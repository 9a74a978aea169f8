"""What TensorBoard shows beside curves: panels, and how much of a run's time they may take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.callbacks.base import Callback
from dlkit.log import log
from dlkit.state import State

Event = Literal["log", "eval"]


@dataclass
class Allowance:
    """Of one kind of event: the seconds that its panels took, and what a round of all of them is thought to take."""

    share: float  # of the training time
    round: float  # seconds; a guess until there was one
    begins: bool = False
    spent: float = 0.0
    step: int = -1  # at which it was last asked
    granted: bool = False
    this_round: float = 0.0

    def grants(self, state: State) -> bool:
        """One answer for all panels at a step: they draw together, or none does.

        They draw at the end of the run, and at the first event where they are cheap (`begins`), unless it is one of a
        sweep, and otherwise where that leaves them below their share of the training time.
        """
        if state.step != self.step:
            if self.granted:
                self.round, self.this_round = self.this_round, 0.0
            wanted = (state.done or (self.begins and not self.spent)) and not state.is_job
            self.step, self.granted = state.step, wanted or self.spent + self.round <= self.share * state.seconds
        return self.granted

    def took(self, seconds: float) -> None:
        self.spent += seconds
        self.this_round += seconds


@dataclass
class Board:
    """TensorBoard's writer, as all panels of a run share it."""

    writer: Any  # torch.utils.tensorboard.SummaryWriter
    allowances: dict[Event, Allowance] = field(
        default_factory=lambda: {"log": Allowance(0.005, 0.005, begins=True), "eval": Allowance(0.015, 0.5)}
    )

    def grants(self, event: Event, state: State) -> bool:
        return self.allowances[event].grants(state)

    def scalars(self, figures: dict[str, float], step: int) -> None:
        """All in one event: a fifth of the time that one for each takes."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self.writer.file_writer.add_summary(Summary(value=values), step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        """A PNG file, in the Images tab."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))  # of its header
        image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=3)
        self.writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    @contextmanager
    def timed(self, event: Event) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.allowances[event].took(perf_counter() - start)


class Panel(Callback, ABC):
    """Draws into TensorBoard, next to a log or an evaluation (`event`), as often as the run's time allows.

    All panels together take 2 % of the training time at most, and draw once more when the run ends; without
    `callbacks.tensorboard` they draw nothing. Subclasses fill in `draw`, which may ask the model anything but must
    leave it as it is: weights, buffers, gradients, mode and random numbers.
    """

    writes = True
    event: Event | None = "eval"  # None once it has failed

    @abstractmethod
    def draw(self, state: State, board: Board) -> None:
        """Writes into `board.writer`, under `state.step`."""

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        self._perhaps("log", state)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        self._perhaps("eval", state)

    def _perhaps(self, event: Event, state: State) -> None:
        board = state.board
        if event == self.event and board is not None and board.grants(event, state):
            with board.timed(event):
                try:
                    self.draw(state, board)
                except Exception as error:  # a picture is not worth the run
                    self.event = None
                    log.warning("%s draws no more: %s: %s", type(self).__name__, type(error).__name__, error)


def answers(state: State) -> tuple[Tensor, Tensor] | None:
    """Outputs (N, K) and targets (N, …) of the evaluation just made, on the CPU, in the order of `Data.order("val")`.

    For panels with `wants_outputs = True`, in `draw`. None where the evaluation kept none: runs trained as one model.
    Of several processes the first one's part.
    """
    if not state.outputs:
        return None
    out, y = zip(*state.outputs, strict=True)
    return torch.cat(out).float().cpu(), torch.cat(y).cpu()
