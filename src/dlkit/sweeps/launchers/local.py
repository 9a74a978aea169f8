"""Jobs on this machine: a process each, several at once, each with a device or a share of the CPUs of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from dlkit.rundir import shown
from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.launchers.backlog import Backlog
from dlkit.sweeps.launchers.launcher import Source, SweepLauncher
from dlkit.sweeps.launchers.live import Event, Live
from dlkit.sweeps.launchers.processes import Stop, begin, log_into, stopping, watch
from dlkit.sweeps.launchers.slots import Slot, slots_here
from dlkit.sweeps.launchers.work import work
from dlkit.types import NonNegativeInt, PositiveInt


@dataclass
class Running:
    """A job that is at work, or the first of several in one process."""

    job: Job
    slot: Slot
    process: Any
    answers: Connection


class Local(SweepLauncher):
    """`n_jobs` at once, null: what the machine holds; `jobs_per_gpu` share a GPU."""

    def __init__(
        self,
        *,
        n_jobs: PositiveInt | None = None,
        jobs_per_gpu: PositiveInt = 1,
        retries: NonNegativeInt = 0,
        rerun_failed: bool = False,
    ) -> None:
        super().__init__(rerun_failed=rerun_failed)
        self.n_jobs, self.jobs_per_gpu, self.retries = n_jobs, jobs_per_gpu, retries

    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """See `run_jobs`."""
        slots = self._slots({job.config["trainer"]["device"] for job in jobs}, live)
        return run_jobs(jobs, slots, self.retries, live)

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Gives every slot another job as soon as it is free; `at_once` is no matter here."""
        run_jobs([], self._slots({self.config.trainer.device}, live), self.retries, live, source)

    def _slots(self, devices: set[str], live: Live) -> list[Slot]:
        slots = slots_here(self.n_jobs, self.jobs_per_gpu, not devices.isdisjoint(("auto", "cuda")))
        threads = "1 CPU thread" if slots[0].threads == 1 else f"{slots[0].threads} CPU threads"
        each = "a GPU each" if slots[0].gpu is not None else f"{threads} each"
        live.says(f"{len(slots)} at once, {each}")
        return slots


def run_jobs(
    jobs: Sequence[Job], slots: Sequence[Slot], retries: int, event: Event, source: Source | None = None
) -> list[Outcome]:
    """Runs the jobs, and then those of the source, in so many processes as there are slots; how each of `jobs` ended.

    A job whose process fails or is killed is begun again, from its checkpoint, up to `retries` times. Ctrl-C, or a
    signal to end, is passed on to all jobs, which save themselves; a second one ends them at once.
    """
    backlog = Backlog(jobs, source, retries, again=("failed", "killed"))
    free, running = list(slots), dict[Any, Running]()
    with stopping() as stop:
        while True:
            while free and not stop.asked and (job := backlog.next()):
                slot = free.pop(0)
                process, answers = begin(_train, job, slot, name=job.name)
                running[process.sentinel] = Running(job, slot, process, answers)
                event("start", job, None)
            if not running:
                break
            end(running.values(), stop)
            for sentinel in wait(list(running), timeout=0.25):
                one = running.pop(sentinel)
                free.append(one.slot)
                outcome = ended(one, asked=bool(stop.asked))
                again = backlog.end(one.job, outcome, last=bool(stop.asked))
                event("end", one.job, outcome)
                if again:
                    event("requeue", one.job, None)
            event("tick", None, None)
    return backlog.outcomes


def ended(one: Running, *, asked: bool) -> Outcome:
    """How the job ended whose process is gone: as it said, else killed, or, where it was asked to end, interrupted."""
    one.process.join()
    try:
        if one.answers.poll():
            return one.answers.recv()
    except (EOFError, OSError):
        pass
    finally:
        one.answers.close()
    code = one.process.exitcode
    if asked and code in (-signal.SIGTERM, -signal.SIGKILL):  # it had not begun to listen, or was not to finish
        return Outcome(one.job.name, "interrupted", "the sweep was ended")
    how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
    return Outcome(one.job.name, "killed", f"its process ended {how}; see {shown(one.job.folder)}/job.log")


def end(running: Iterable[Running], stop: Stop) -> None:
    """Passes on what the user asked for, if anything new."""
    if not (due := stop.due()):
        return
    for one in running:
        if one.process.is_alive():
            os.kill(one.process.pid, signal.SIGTERM if due == 1 else signal.SIGKILL)


def _train(job: Job, slot: Slot, answers: Connection) -> None:
    """The life of a job's process."""
    detach(slot)
    log_into(Path(job.folder))
    outcome = work(job, slot.threads)
    with suppress(BrokenPipeError):  # the launcher is gone
        answers.send(outcome)


def detach(slot: Slot) -> None:
    """Parts this process from the launcher's signals, though not from its end, and gives it its GPU."""
    os.setsid()  # Ctrl-C is the launcher's, which tells the jobs once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops one that came before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch(multiprocessing.parent_process())
    if slot.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
