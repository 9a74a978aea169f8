"""One job of a sweep, and the work on it: what a process does for it, on whatever machine."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from omegaconf import OmegaConf

from dlkit.begin import start
from dlkit.mistakes import cause, is_mistake
from dlkit.records import is_running
from dlkit.rundir import write_json
from dlkit.runs import read_json

GRACE = 30.0  # seconds that a run has to save itself once it is to end
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


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    name: str
    status: str  # as in result.json; killed, where its process was
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


def work(job: Job, threads: int, patience: float = GRACE) -> Outcome:
    """Trains the job in its folder, on so many CPU threads unless trainer.threads says otherwise, from where an earlier
    attempt stopped; does nothing where it is done. Waits for `patience` seconds where that attempt is still at work.

    Never raises for what fails in it: a mistake in its config or data is put into result.json, as run() puts what it
    raises, and the traceback is printed.
    """
    import torch

    from dlkit.run import run

    torch.set_num_threads(threads)
    folder = Path(job.folder)
    os.chdir(job.cwd)
    if job.cwd not in sys.path:  # a user's own classes
        sys.path.insert(0, job.cwd)
    if not _is_free(folder, patience):
        return Outcome(job.name, "killed", f"{folder}: is still locked by an earlier attempt, after {patience:.0f} s")
    if (before := known(job)) is None or before.status == "failed":
        (folder / "result.json").unlink(missing_ok=True)
    cfg = OmegaConf.create({**job.config, "run_dir": job.folder, "resume": "auto"})
    try:
        begin = start(cfg, job.choices)
        if not begin.ended:
            run(begin.config, begin.folder, job.overrides, begin.resumes, job.choices)
    except KeyboardInterrupt:
        return Outcome(job.name, "interrupted", "SIGINT")
    except Exception as error:
        found = cause(error)
        if not is_mistake(found):
            traceback.print_exception(found)
        else:
            print(found, file=sys.stderr)
        reason = str(found) if is_mistake(found) else f"{type(found).__name__}: {found}"
        refused(job, reason)
        return known(job) or Outcome(job.name, "failed", reason)
    return known(job) or Outcome(job.name, "finished")


def _is_free(folder: Path, patience: float) -> bool:
    """Waits until no process holds the folder; whether that came true. An earlier attempt whose launcher was killed may
    still be saving itself; of a dead machine a shared disk has to notice."""
    until = monotonic() + patience
    while running := is_running(folder):
        if monotonic() > until:
            break
        sleep(0.1)
    return not running


def refused(job: Job, reason: str) -> None:
    """Notes in the job's folder why there is no run, unless a run did so."""
    path = Path(job.folder) / "result.json"
    if not path.exists():
        seed = job.config.get("seed")
        write_json({"status": "failed", "reason": reason, "seed": seed, "metrics": {}, "best": {}}, path)
