"""The log: what a run says goes to the terminal and to `train.log`. Messages may be rich tables."""

from __future__ import annotations

import logging
import warnings
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import IO

from rich.console import Console

from dlkit import dist

log = logging.getLogger("dlkit")
console = Console(highlight=False)


class RichHandler(logging.Handler):
    """Prints messages, which may be anything that rich can render."""

    def __init__(self, console: Console):
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        styles = {logging.WARNING: ("yellow", "warning: "), logging.ERROR: ("red", "error: ")}
        style, prefix = styles.get(record.levelno, (None, ""))
        if not isinstance(record.msg, str):
            self.console.print(record.msg)
        elif self.console.is_terminal:
            self.console.print(prefix + self.format(record), style=style, markup=False, soft_wrap=True)
        else:  # as rich would, in a tenth of its time
            self.console.file.write(f"{prefix}{self.format(record)}\n")
            self.console.file.flush()


class Log:
    """Sends the root logger's messages to the terminal at once and to a file as soon as there is one."""

    def __init__(self) -> None:
        self.early = MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)  # until the run has a folder
        self.file: IO[str] | None = None
        self.before = (logging.root.handlers[:], logging.root.level, warnings.showwarning)
        shown = RichHandler(console) if dist.rank() == 0 else logging.NullHandler()  # of several processes one talks
        logging.root.handlers = [shown, self.early]
        logging.root.setLevel(logging.INFO)
        warnings.showwarning = lambda message, *where, **more: log.warning("%s", message)

    def open(self, path: Path) -> None:
        """Writes to `path` from now on, beginning with what was said before."""
        self.file = path.open("a", encoding="utf-8")
        handler = RichHandler(Console(file=self.file, width=110, highlight=False))
        self.early.setTarget(handler)
        self.early.flush()
        logging.root.handlers[1] = handler

    def close(self) -> None:
        """Puts the root logger back as it was."""
        logging.root.handlers, level, warnings.showwarning = self.before
        logging.root.setLevel(level)
        if self.file:
            self.file.close()
