"""Processes of jobs: how they are made, what they print into, and the signals that end them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from time import sleep
from typing import Any

from dlkit.log import console

GRACE = 30.0  # seconds that a run has to save itself once it is to end
PRELOAD = ["dlkit.sweeps.launchers.preload"]  # what a job imports, imported once: processes are copies of one that did


def server() -> ForkServerContext:
    """What makes processes as copies of one that has imported `PRELOAD`. Ctrl-C is blocked in all of them: the imports,
    which take seconds, would answer it with a traceback, and who waits for the processes is told anyway."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    resource_tracker.ensure_running()  # it is made with the server, and would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def begin(work: Callable[..., None], *given: Any, name: str) -> tuple[ForkServerProcess, Connection]:
    """Begins a process that does `work(*given, answers)`; also gives the other end of the pipe `answers`."""
    context = server()
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(*given, there), name=name)
    process.start()
    there.close()  # so that the pipe ends with the process
    return process, here


@dataclass
class Stop:
    """What the user asked for: by the first signal that jobs save themselves and end, by a second that they end at
    once."""

    asked: int = 0  # signals so far
    told: int = 0  # signals that the jobs were told

    def due(self) -> int:
        """The signal to pass on to the jobs now, the first or the second; 0: none, or they were told."""
        if self.told >= min(self.asked, 2):
            return 0
        self.told += 1
        if self.told == 1:
            console.print("ending: jobs save themselves; Ctrl-C again ends them at once", markup=False)
        return self.told


@contextmanager
def stopping(*numbers: int) -> Iterator[Stop]:
    """Counts what asks to end: these signals, by default Ctrl-C and SIGTERM."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: Any) -> None:
        stop.asked += 1

    before = {number: signal.signal(number, handle) for number in numbers or (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_into(folder: Path) -> None:
    """What the job prints goes into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())


def watch(parent: Any, number: int = signal.SIGTERM) -> None:
    """Ends this process, saved, when its launcher is gone: nobody would wait for it, and a new launcher would find its
    folder locked."""

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), number)
        sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
