"""Sweeps as users start them: commands in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SMALL = ("model=logreg", "data=iris", "callbacks=minimal", "trainer.epochs=1")


STARTED: list[subprocess.Popen[str]] = []


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dlkit", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    STARTED.append(process)
    return process


def end_all() -> None:
    """Ends what a failing test left running."""
    while STARTED:
        with STARTED.pop() as process:  # closes its pipes
            process.kill()


def sweep(*words: str, code: int = 0) -> str:
    """What `dlkit train -m sweep=s` and these words print."""
    return ended(start("train", "-m", "sweep=s", *words), code)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == code, out
    return out


def results(sweep: str = "s") -> dict[str, dict[str, Any]]:
    """result.json of each job by its name."""
    paths = Path("outputs/sweeps", sweep).glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def wait_until(true: Callable[[], Any], seconds: float = 180) -> Any:
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)
    return found


def workers(folder: Path) -> dict[str, int]:
    """Processes of jobs, by the jobs' names: each holds the lock of its run's folder."""
    found = {}
    for lock in folder.glob("*/.lock"):
        try:
            pid = int(lock.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            continue
        found[lock.parent.name] = pid
    return found
