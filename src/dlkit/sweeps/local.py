"""Jobs on this machine: a process each, several at once, each with a device or a share of the CPUs of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from dlkit.log import console
from dlkit.sweeps.backlog import Backlog
from dlkit.sweeps.jobs import Job, Outcome, work
from dlkit.sweeps.launcher import Source, SweepLauncher
from dlkit.sweeps.live import Live
from dlkit.sweeps.processes import Stop, log_into, server, stopping, watch
from dlkit.sweeps.room import Slot, slots
from dlkit.types import NonNegativeInt, PositiveInt

Event = Callable[[Literal["start", "requeue", "end", "tick"], Job | None, Outcome | None], None]


@dataclass
class Running:
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
        room = self._room({job.config["trainer"]["device"] for job in jobs}, live)
        return run_jobs(jobs, room, self.retries, live)

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Gives every slot another job as soon as it is free; `at_once` is no matter here."""
        run_jobs([], self._room({self.config.trainer.device}, live), self.retries, live, source)

    def _room(self, devices: set[str], live: Live) -> list[Slot]:
        room = slots(self.n_jobs, self.jobs_per_gpu, not devices.isdisjoint(("auto", "cuda")))
        threads = "1 CPU thread" if room[0].threads == 1 else f"{room[0].threads} CPU threads"
        each = "a GPU each" if room[0].gpu is not None else f"{threads} each"
        live.says(f"{len(room)} at once, {each}")
        return room


def run_jobs(
    jobs: Sequence[Job], room: Sequence[Slot], retries: int, event: Event, source: Source | None = None
) -> list[Outcome]:
    """Runs the jobs, and then those of the source, in so many processes as there are slots; how each of `jobs` ended.

    A job whose process fails or is killed is begun again, from its checkpoint, up to `retries` times. Ctrl-C, or a
    signal to end, is passed on to all jobs, which save themselves; a second one ends them at once.
    """
    backlog = Backlog(jobs, source, retries, again=("failed", "killed"))
    free, running = list(room), dict[Any, Running]()
    context = server()
    with stopping() as stop:
        while True:
            while free and not stop.asked and (job := backlog.next()):
                one = begin(context, job, free.pop(0))
                running[one.process.sentinel] = one
                event("start", job, None)
            if not running:
                break
            if stop.asked:
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


def begin(context: Any, job: Job, slot: Slot) -> Running:
    """Starts the job's process."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, slot, there), name=job.name)
    process.start()
    there.close()
    return Running(job, slot, process, here)


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
    return Outcome(one.job.name, "killed", f"its process ended {how}; see {one.job.folder}/job.log")


def end(running: Any, stop: Stop) -> None:
    """Asks the jobs to save themselves and end; a second time ends them."""
    if stop.told >= min(stop.asked, 2):
        return
    number = signal.SIGTERM if stop.told == 0 else signal.SIGKILL
    stop.told += 1
    if number == signal.SIGTERM:
        console.print("ending: jobs save themselves; Ctrl-C again ends them at once", markup=False)
    for one in running:
        if one.process.is_alive():
            os.kill(one.process.pid, number)


def _child(job: Job, slot: Slot, answers: Connection) -> None:
    """The life of a job's process."""
    detach(slot)
    log_into(Path(job.folder))
    outcome = work(job, slot.threads)
    with suppress(BrokenPipeError):  # the launcher is gone
        answers.send(outcome)


def detach(slot: Slot) -> None:
    """Parts this process from the launcher's signals, though not from its end, and gives it its device."""
    os.setsid()  # Ctrl-C is the launcher's, which tells the jobs once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops one that came before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch(multiprocessing.parent_process())
    if slot.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
