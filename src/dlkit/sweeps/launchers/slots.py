"""How many jobs this machine has room for at once, and what each of them may use."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from dlkit.machine import cpus, free_memory

EACH = 1.5  # GB of memory that a job is taken to need


@dataclass
class Slot:
    """Room for a job: a GPU by its number, or None, and CPU threads."""

    gpu: str | None
    threads: int


def slots_here(n_jobs: int | None, jobs_per_gpu: int, wants_gpu: bool) -> list[Slot]:
    """So many as `n_jobs` says; None: what the machine holds: of GPUs all, else a job for each CPU, fewer where memory
    is short. Threads are shared out evenly; jobs take turns on GPUs."""
    here = cpus()
    gpus = visible_gpus() if wants_gpu else []
    count = n_jobs or (len(gpus) * jobs_per_gpu if gpus else max(1, min(here, int(free_memory() / EACH))))
    return [Slot(gpus[i % len(gpus)] if gpus else None, max(1, here // count)) for i in range(count)]


def visible_gpus() -> list[str]:
    """The numbers of the GPUs that may be used. Asks the driver's own program, since torch would take memory there."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []
