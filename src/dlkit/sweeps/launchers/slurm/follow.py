"""Jobs in Slurm's queue, from their submission to their end."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from dlkit.log import console
from dlkit.sweeps.jobs import Job, Outcome, known
from dlkit.sweeps.launchers.launcher import Source
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.launchers.processes import stopping
from dlkit.sweeps.launchers.slurm.queue import Entry, Queue
from dlkit.sweeps.launchers.slurm.task import Task

SETTLE = 10.0  # seconds until a file that a node wrote is seen here; shared disks are late
PAUSES = (1.0, 10.0)  # seconds between looks at the queue: at first, and at most where nothing changes
USUAL = ("None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Prolog")  # reasons to wait
CANCELLED = "CANCELLED"  # by somebody who wants it gone
LEFT = "the launcher was ended by SIGTERM; its jobs go on in Slurm, and the same command finds them"


class Following:
    """Submits the jobs that an earlier launcher has not left in the queue, then those of the source, `at_once` at most,
    and follows all until they have ended.

    How a job ended is what its folder says; Slurm is asked where that says nothing. Ctrl-C takes the jobs that wait out
    of the queue and has those that run save themselves and end; a second one kills them, a third one leaves them.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        queue: Queue,
        live: Live,
        threads: int,
        retries: int,
        source: Source | None = None,
        at_once: int = 0,
    ) -> None:
        self.jobs, self.queue, self.live, self.source = jobs, queue, live, source
        self.threads, self.retries, self.at_once = threads, retries, at_once
        self.there: dict[str, Entry] = {}  # the queue, when last looked at
        self.open: dict[str, Job] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.begun: set[str] = set()
        self.running: set[str] = set()
        self.gone: dict[str, float] = {}  # since when a job is no longer in the queue
        self.attempts: Counter[str] = Counter()
        self.said: set[str] = set()

    def run(self) -> list[Outcome]:
        """How each job ended, in their order. Raises ValueError where Slurm does not answer or refuses the jobs."""
        try:
            self.there = self.queue.look()
        except OSError as error:
            raise ValueError(f"hydra/launcher=slurm: Slurm does not answer: {error}") from None
        if left := sum(job.name in self.there for job in self.jobs):
            self._say(f"{left} of them are in the queue already")
        pause = PAUSES[0]
        with stopping(signal.SIGINT) as stop, leaving():
            self._begin(self.jobs)
            while (asked := stop.asked) < 3:
                if not asked:
                    self._begin(self._next())
                if not self.open:
                    break
                changed = self._step(asked)
                pause = PAUSES[0] if changed or asked else min(1.2 * pause, PAUSES[1])
                until = monotonic() + pause
                while self.open and monotonic() < until and stop.asked == asked:
                    self.live("tick", None, None)
                    sleep(0.25)
        return [self.outcomes.get(job.name) or self._cut(job) for job in self.jobs]

    def _next(self) -> list[Job]:
        """Jobs of the source for the places that are free."""
        free = self.at_once - len(self.open)
        return list(islice(iter(self.source.next, None), max(0, free))) if self.source else []

    def _begin(self, jobs: Sequence[Job]) -> None:
        self.open |= {job.name: job for job in jobs}
        self._submit([job for job in jobs if job.name not in self.there])

    def _submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if (before := known(job)) is not None and before.status == "failed":
                (Path(job.folder) / "result.json").unlink()
        if jobs:
            self.queue.submit({job.name: Task(job, self.threads) for job in jobs})

    def _step(self, asked: int) -> bool:
        """A look at the queue and at the jobs that have left it; whether anything changed."""
        try:
            self.there = self.queue.look()
        except OSError as error:
            self._say(f"Slurm does not answer; it is asked again: {error}")
            return False
        if asked:
            self.queue.cancel(self.there, "TERM" if asked == 1 else "KILL")
        ended = {}
        changed = False
        for name, job in self.open.items():
            if name in self.there:
                changed |= self._see(job, self.there[name])
            elif (outcome := self._ended(job, asked)) is not None:
                ended[name] = outcome
        self._close(ended, asked)
        return changed or bool(ended)

    def _see(self, job: Job, entry: Entry) -> bool:
        """Tells of a job that begins, or is back in the queue."""
        waits = entry.state == "PENDING"
        self.gone.pop(job.name, None)
        if waits and entry.reason not in USUAL:
            self._say(f"jobs wait, says Slurm: {entry.reason}")
        if waits != (job.name in self.running):
            return False
        self.live("requeue" if waits else "start", job, None)
        self.running ^= {job.name}
        self.begun.add(job.name)
        return True

    def _close(self, ended: dict[str, Outcome], asked: int) -> None:
        """Takes note of jobs that ended, and submits again those that are to be retried."""
        again = []
        for name, outcome in ended.items():
            job = self.open[name]
            self.running.discard(name)
            del self.gone[name]
            self.live("end", job, outcome)
            self.attempts[name] += 1
            retried = outcome.status in ("failed", "killed") and CANCELLED not in outcome.reason
            if retried and self.attempts[name] <= self.retries and not asked:
                again.append(job)
            else:
                self.outcomes[name] = outcome
                del self.open[name]
                if self.source:
                    self.source.ended(job, outcome)
        self._submit(again)

    def _ended(self, job: Job, asked: int) -> Outcome | None:
        """How a job ended that has left the queue; None where that cannot be known yet."""
        since = self.gone.setdefault(job.name, monotonic())
        with suppress(OSError):
            list(Path(job.folder).iterdir())  # has a shared disk look again
        found = known(job)
        if found is not None and (found.done or found.status == "failed"):
            return found
        if asked:
            return self._cut(job)
        state, code = self.queue.ended(job.name)
        if state in ("", "COMPLETED") and monotonic() - since < SETTLE:
            return None
        if not state and job.name not in self.begun:
            state = CANCELLED  # of an array's job that had not begun Slurm then knows nothing
        says = f"Slurm says {state or 'nothing of it'}{how(code)}"
        return Outcome(job.name, "killed", f"{says}; see {job.folder}/job.log")

    def _cut(self, job: Job) -> Outcome:
        """How a job ended that was asked to."""
        found = known(job)
        if found is not None and found.status == "interrupted":
            return found
        status = "interrupted" if job.name in self.begun else "waiting"
        return Outcome(job.name, status, "the sweep was ended")

    def _say(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            console.print(text, soft_wrap=True, markup=False)


def how(code: str) -> str:
    """Slurm's "exit code:signal" in words; shells add 128 to the number of a signal."""
    number, _, caught = code.partition(":")
    killer = int(caught or 0) or max(0, int(number or 0) - 128)
    with suppress(ValueError):
        return f", ended by {signal.Signals(killer).name}"
    return f", exit code {number}" if number else ""


@contextmanager
def leaving() -> Iterator[None]:
    """Where SIGTERM ends the launcher, its jobs are left to Slurm, and it says so."""

    def leave(number: int, frame: Any) -> None:
        print(LEFT, file=sys.stderr)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
