"""What a node of a Slurm cluster does for a job."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.sweeps.jobs import Job, known
from dlkit.sweeps.launchers.processes import log_into, watch
from dlkit.sweeps.launchers.work import work

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class Task:
    """A job as submitit calls it on a node. The run is a child of submitit's process, which gets Slurm's signals: they
    are sent to every process of a job, and neither should a second one end a run that saves itself, nor any one the
    processes that read its data.
    """

    job: Job
    threads: int

    def __call__(self) -> None:
        """Trains the job. Where it is to make room it saves itself, and submitit puts it back into the queue."""
        from submitit import JobEnvironment

        preempted = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        requeue = signal.getsignal(preempted)
        told, code = self._train(JobEnvironment().job_id, {signal.SIGTERM, preempted})
        ended = known(self.job)
        if preempted in told and (ended is None or ended.status == "interrupted") and callable(requeue):
            try:
                requeue(preempted, None)
            except Exception as error:  # timed out too often, or Slurm does not want it
                self._note(str(error))
                raise
        if code:
            self._note(f"its process ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
            sys.exit(128 - code if code < 0 else code)

    def _train(self, job_id: str, signals: set[int]) -> tuple[list[int], int]:
        """Has a process train the job, and tells it of the first of the signals; all that came, and its exit code."""
        process = multiprocessing.get_context("fork").Process(target=_child, args=(self, job_id))
        told: list[int] = []

        def tell(number: int, frame: Any) -> None:
            told.append(number)
            if len(told) == 1 and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)

        for number in signals:
            signal.signal(number, tell)
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # in the child and all that it starts, for ever
        process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        process.join()
        return told, process.exitcode or 0

    def checkpoint(self) -> DelayedSubmission:
        """What submitit is to call when the job is back: the same, since the checkpoint is in the run's folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _note(self, text: str) -> None:
        with (Path(self.job.folder) / "job.log").open("a", encoding="utf-8") as file:
            file.write(f"slurm: {text}\n")


def _child(task: Task, job_id: str) -> None:
    """The life of the process that trains."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch(multiprocessing.parent_process(), signal.SIGINT)
    log_into(Path(task.job.folder))
    print(f"slurm: job {job_id} on {os.environ.get('SLURMD_NODENAME')}", flush=True)
    with suppress(KeyboardInterrupt):  # before there was anything to save
        work(task.job, task.threads)
