"""A job of a sweep, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlkit.records import HIGHER
from dlkit.runs import read_json

DONE = ("finished", "stopped")  # of status: nothing is left to do


@dataclass(frozen=True)
class Job:
    """A run to be made, as plain data that goes from process to process."""

    name: str
    overrides: tuple[str, ...]  # key=value, for the record
    config: dict[str, Any]  # resolved, without Hydra's own node
    choices: dict[str, str]  # group: the file chosen
    folder: str  # of the run, absolute
    cwd: str  # where the sweep was started

    @property
    def monitor(self) -> str:
        """The figure that its checkpoint callback watches."""
        return str(self._checkpoint.get("monitor", "val/loss"))

    @property
    def higher(self) -> bool:
        """Whether more of that is better."""
        mode = self._checkpoint.get("mode")
        return bool(mode == "max" if mode else self.monitor.rpartition("/")[2] in HIGHER)

    @property
    def _checkpoint(self) -> dict[str, Any]:
        return (self.config.get("callbacks") or {}).get("checkpoint") or {}


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    name: str
    status: str  # as in result.json; killed, where its process was; waiting, where it was not begun
    reason: str = ""
    value: float | None = None  # the best value of the figure that the checkpoint callback watches

    @property
    def done(self) -> bool:
        return self.status in DONE


def known(job: Job) -> Outcome | None:
    """What the job's folder says of how it ended; None where it did not, or its file is damaged."""
    result = read_json(Path(job.folder) / "result.json")
    if "status" not in result:
        return None
    best = result.get("best") or {}
    return Outcome(job.name, result["status"], result.get("reason") or "", best.get("value"))


def settled(job: Job, rerun_failed: bool) -> Outcome | None:
    """How an earlier start of the sweep ended the job; None where it is to be run."""
    before = known(job)
    return before if before and (before.done or (before.status == "failed" and not rerun_failed)) else None
