"""What surrounds the training of each of the runs that are trained as one: folder, log, and result."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import IO, Any, cast

from rich.console import Console

from dlkit import show
from dlkit.build import Experiment
from dlkit.callbacks.tensorboard import TensorBoard
from dlkit.guard import NonFinite
from dlkit.log import RichHandler
from dlkit.run import opened, recorded
from dlkit.stacked.fit import Member

LOGS = ("job.log", "train.log")


@dataclass(frozen=True)
class Asked:
    """A run to be made."""

    name: str
    config: dict[str, Any]  # resolved, with its run_dir
    choices: Mapping[str, str]  # group: the file chosen
    arguments: Sequence[str]  # for the record

    @property
    def folder(self) -> Path:
        return Path(self.config["run_dir"])


class Life:
    """One run from its folder to its result, as `run.run` leads it, for a loop that is shared.

    What is logged on its behalf goes to its train.log and its job.log; `early` is what was said while it was built.
    """

    def __init__(self, asked: Asked, run: Experiment, saved: dict[str, Any] | None, early: MemoryHandler):
        self.asked, self.run, self.saved, self.early = asked, run, saved, early
        self.around, self.within = ExitStack(), ExitStack()

    def begin(self, where: dict[str, Any], first: Life) -> Member:
        """Opens the folder and emits the first event; `first` is the life of the first run, which has begun."""
        run, folder = self.run, self.run.state.folder
        run.state.folder = self.around.enter_context(opened(folder, run, where))
        handler = self._writer(folder)
        for record in self.early.buffer:
            handler.handle(record)
        self.member = Member(run, [handler])
        self.member.speaks()
        show.opening(run, self.saved, self.asked.choices)
        self.ending = self.around.enter_context(recorded(run))
        if self is not first:
            _share_graph(first.run, run)
        self.within.enter_context(self.member.course.running())
        return self.member

    def end_training(self, error: NonFinite | None) -> None:
        """Emits the last event of training."""
        self.member.speaks()
        self.within.__exit__(*_raised(error))

    def end(self, figures: dict[str, Any], error: NonFinite | None) -> None:
        """Writes the result and closes the folder."""
        self.member.speaks()
        self.ending.figures = figures
        self.around.__exit__(*_raised(error))
        logging.root.handlers = [logging.NullHandler()]  # its files are closed

    def _writer(self, folder: Path) -> logging.Handler:
        files = [self.around.enter_context((folder / name).open("a", encoding="utf-8")) for name in LOGS]
        return RichHandler(Console(file=cast(IO[str], Both(files)), width=110, highlight=False))


class Both:
    """A file that writes into several."""

    def __init__(self, files: Sequence[IO[str]]):
        self.files = files

    def write(self, text: str) -> None:
        for file in self.files:
            file.write(text)

    def flush(self) -> None:
        for file in self.files:
            file.flush()


def _raised(error: NonFinite | None) -> Any:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


def _share_graph(first: Experiment, other: Experiment) -> None:
    """The graph of a model is traced once."""
    twin = next((one for one in first.callbacks if isinstance(one, TensorBoard)), None)
    for one in other.callbacks:
        if isinstance(one, TensorBoard):
            one.twin = twin
