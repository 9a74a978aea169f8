"""What a machine of a Ray cluster does for a job."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.launchers.processes import log_into
from dlkit.sweeps.launchers.work import work

LEASE = 120.0  # seconds; a shared disk gives the locks of a dead machine back so late (NFS 4: 90)


def run_task(job: Job, threads: int) -> Outcome:
    """The job, in a process that Ray started for it. Raises FileNotFoundError on a machine without the sweep's disk."""
    import ray

    folder, here = Path(job.folder), f"machine {platform.node()}"
    if not (folder.parent / "sweep.json").exists():
        raise FileNotFoundError(f"{here} does not see {folder.parent}, which must be on a disk that all machines share")
    with printing_into(folder):
        print(f"ray: {here}, process {os.getpid()}", flush=True)
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return work(job, threads, patience=LEASE)


@contextmanager
def printing_into(folder: Path) -> Iterator[None]:
    """What the job prints goes into its folder; what Ray says as the process ends does not."""
    before = [os.dup(stream) for stream in (1, 2)]
    log_into(folder)
    try:
        yield
    finally:
        for number, stream in zip(before, (sys.stdout, sys.stderr), strict=True):
            stream.flush()
            os.dup2(number, stream.fileno())
