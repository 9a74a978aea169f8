"""Jobs that differ only in numbers, trained as one model with a replica axis; all others as the local launcher does."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from dlkit.log import console
from dlkit.rundir import shown
from dlkit.sweeps.jobs import Job, Outcome, known
from dlkit.sweeps.launchers.backlog import WAITING
from dlkit.sweeps.launchers.launcher import Source
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.launchers.local import Local, Running, detach, end, run_jobs
from dlkit.sweeps.launchers.processes import Stop, begin, log_into, stopping
from dlkit.sweeps.launchers.slots import Slot
from dlkit.sweeps.launchers.stackable import groups, why_alone
from dlkit.sweeps.launchers.work import settle_in

LEAST = 4  # jobs that are worth a process more


class Stacked(Local):
    """The options are those of the local launcher, `n_jobs` being the processes at once, of which each trains a part of
    a group as one model. Which jobs form a group says `stackable`; whether it is right and pays is found by trying.
    """

    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """Groups first, one after another, each cut into a part for every process; then the jobs that are left."""
        return self._train(self._slots({job.config["trainer"]["device"] for job in jobs}, live), jobs, live)

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """As many jobs as the sweeper's n_jobs says are drawn and trained at a time, until the source has none."""
        slots = self._slots({self.config.trainer.device}, live)
        most = self.config.hydra.sweeper.get("n_jobs") or at_once
        while batch := _drawn(source, most):
            for job, outcome in zip(batch, self._train(slots, batch, live), strict=True):
                source.ended(job, outcome)

    def _train(self, slots: Sequence[Slot], jobs: Sequence[Job], live: Live) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        left: list[Job] = []
        with stopping() as stop:
            for group in groups(jobs):
                if stop.asked:
                    break
                if len(group) < 2 or (why := why_alone(group[0].config)):
                    if len(group) > 1:
                        _say(f"{len(group)} jobs one by one: {why}")
                    left += group
                    continue
                left += Stacks(parts(group, len(slots)), slots, live, stop, outcomes).run()
            asked = bool(stop.asked)
        if left and not asked:
            ended = run_jobs(left, slots, self.retries, live)
            outcomes |= {job.name: outcome for job, outcome in zip(left, ended, strict=True)}
        return [outcomes.get(job.name, WAITING) for job in jobs]


def _drawn(source: Source, most: int) -> list[Job]:
    jobs: list[Job] = []
    while len(jobs) < most and (job := source.next()):
        jobs.append(job)
    return jobs


def parts(group: Sequence[Job], processes: int) -> list[list[Job]]:
    """The group cut into about equal parts, one a process unless they would be smaller than `LEAST`."""
    count = max(1, min(processes, len(group) // LEAST))
    return [list(group[i * len(group) // count : (i + 1) * len(group) // count]) for i in range(count)]


@dataclass
class Part(Running):
    """A process that trains some jobs as one."""

    jobs: list[Job] = field(default_factory=list)
    left: list[Job] = field(default_factory=list)  # to be trained by themselves
    begun: set[str] = field(default_factory=set)


class Stacks:
    """The processes of a group's parts, and what they tell."""

    def __init__(
        self, parts: Sequence[list[Job]], slots: Sequence[Slot], live: Live, stop: Stop, outcomes: dict[str, Outcome]
    ) -> None:
        self.parts, self.slots, self.live, self.stop, self.outcomes = list(parts), slots, live, stop, outcomes
        self.told: set[str] = set()

    def run(self) -> list[Job]:
        """Trains the parts; the jobs that are to be trained by themselves."""
        running = {part.answers: part for part in map(self._begin, self.parts, self.slots)}
        parts = list(running.values())
        while running:
            end(running.values(), self.stop)
            ready: list[Any] = wait(list(running), timeout=0.25)
            for answers in ready:
                part = running[answers]
                try:
                    self._hear(part, *answers.recv())
                except (EOFError, OSError):
                    self._over(running.pop(answers))
            self.live("tick", None, None)
        return [job for part in parts for job in part.left]

    def _begin(self, jobs: list[Job], slot: Slot) -> Part:
        process, answers = begin(_child, jobs, slot, len(self.parts), name=jobs[0].name)
        return Part(jobs[0], slot, process, answers, list(jobs))

    def _hear(self, part: Part, what: str, names: Sequence[str], value: Any) -> None:
        jobs = [job for job in part.jobs if job.name in names]
        if what == "begins":
            part.begun.update(names)
            self.live("start", jobs[0], None)
        elif what == "ended":
            self.outcomes[jobs[0].name] = value
            self.live("end", jobs[0], value)
        elif what == "alone":
            part.left += jobs
            if value:
                self._say_once(str(value), f"jobs one by one: {value}", len(names))
        else:
            text = f"jobs as one model, {value:.2g} x faster a step than one after another (measured)"
            self._say_once("gains", text, len(names))

    def _say_once(self, what: str, text: str, count: int) -> None:
        """What several parts of a group say is said for the first of them."""
        if what not in self.told:
            self.told.add(what)
            _say(f"{f'{len(self.parts)} x ' if len(self.parts) > 1 else ''}{count} {text}")

    def _over(self, part: Part) -> None:
        """The process is gone; jobs of which nothing was heard are trained by themselves, from their checkpoints."""
        part.process.join()
        part.answers.close()
        lost = [job for job in part.jobs if job.name not in self.outcomes and job not in part.left]
        if lost and self.stop.asked:
            for job in lost:
                self.outcomes[job.name] = Outcome(job.name, "interrupted", "the sweep was ended")
                if job.name in part.begun:
                    self.live("end", job, self.outcomes[job.name])
        elif lost:
            log = f"{shown(part.job.folder)}/job.log"
            _say(f"{len(lost)} jobs one by one: the process that trained them ended; see {log}")
            for job in lost:
                if job.name in part.begun:
                    self.live("requeue", job, None)
            part.left += lost


def _say(text: str) -> None:
    console.print(f"stacked {text}", soft_wrap=True, markup=False)


def _child(jobs: Sequence[Job], slot: Slot, processes: int, answers: Connection) -> None:
    """The life of a process that trains jobs as one."""
    detach(slot)
    log_into(Path(jobs[0].folder))
    try:
        settle_in(jobs[0], slot.threads)
        _work(jobs, processes, answers)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # nothing is written any more: the jobs begin again, each by itself


def _work(jobs: Sequence[Job], processes: int, answers: Connection) -> None:
    """Trains the jobs, and tells the launcher what becomes of them."""
    from dlkit.stacked.lives import Asked
    from dlkit.stacked.work import Teller, train

    class Tells(Teller):
        def begins(self, name: str) -> None:
            send("begins", [name], None)

        def ended(self, name: str) -> None:
            send("ended", [name], known(by_name[name]))

        def alone(self, names: Sequence[str], why: str) -> None:
            send("alone", list(names), why)

        def gains(self, names: Sequence[str], times: float) -> None:
            send("gains", list(names), times)

    def send(*what: Any) -> None:
        with suppress(BrokenPipeError):  # the launcher is gone
            answers.send(what)

    by_name = {job.name: job for job in jobs}
    configs = [{**job.config, "run_dir": job.folder, "resume": None} for job in jobs]
    asked = [Asked(job.name, cfg, job.choices, job.overrides) for job, cfg in zip(jobs, configs, strict=True)]
    train(asked, Tells(), processes)
