"""The work on a job: what its process does, on whatever machine."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from time import monotonic, sleep

from omegaconf import OmegaConf

from dlkit.begin import start
from dlkit.mistakes import cause, is_mistake
from dlkit.records import is_running
from dlkit.rundir import write_json
from dlkit.sweeps.jobs import Job, Outcome, known
from dlkit.sweeps.launchers.processes import GRACE


def work(job: Job, threads: int, patience: float = GRACE) -> Outcome:
    """Trains the job in its folder, on so many CPU threads unless trainer.threads says otherwise, from where an earlier
    attempt stopped; does nothing where it is done. Waits for `patience` seconds where that attempt is still at work.

    Never raises for what fails in it: a mistake in its config or data is put into result.json, as run() puts what it
    raises, and the traceback is printed.
    """
    from dlkit.run import run

    settle_in(job, threads)
    folder = Path(job.folder)
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
        return _failed(job, error)
    return known(job) or Outcome(job.name, "finished")


def settle_in(job: Job, threads: int) -> None:
    """Makes this process one for the job: so many CPU threads, and its paths and classes as where the sweep began."""
    import torch

    torch.set_num_threads(threads)
    os.chdir(job.cwd)
    if job.cwd not in sys.path:
        sys.path.insert(0, job.cwd)


def _is_free(folder: Path, patience: float) -> bool:
    """Waits until no process holds the folder; whether that came true. An earlier attempt whose launcher was killed may
    still be saving itself; of a dead machine a shared disk has to notice."""
    until = monotonic() + patience
    while running := is_running(folder):
        if monotonic() > until:
            break
        sleep(0.1)
    return not running


def _failed(job: Job, error: Exception) -> Outcome:
    """Prints the error, and notes it in the job's folder unless the run did."""
    found = cause(error)
    if is_mistake(found):
        reason = str(found)
        print(reason, file=sys.stderr)
    else:
        reason = f"{type(found).__name__}: {found}"
        traceback.print_exception(found)
    path = Path(job.folder) / "result.json"
    if not path.exists():
        seed = job.config.get("seed")
        write_json({"status": "failed", "reason": reason, "seed": seed, "metrics": {}, "best": {}}, path)
    return known(job) or Outcome(job.name, "failed", reason)
