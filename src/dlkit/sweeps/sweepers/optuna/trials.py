"""The trials of a search: from values that a study draws to jobs, and what came out of them back to the study."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from dlkit.sweeps.jobs import Job, Outcome, known, settled
from dlkit.sweeps.plan import Plan
from dlkit.sweeps.sweepers.optuna.pruning import Medians, is_pruned
from dlkit.sweeps.sweepers.optuna.space import as_option

SWEEP = "sweep"  # attribute of a trial: which search asked for it, since a storage can be shared
GIVE_UP = 5  # so many more trials failed than not: something else is wrong than their values


@dataclass
class Space:
    """What a trial is made of."""

    drawn: Mapping[str, BaseDistribution]
    repeats: Mapping[str, Sequence[str]]  # seed: 0, 1, 2: a job of the trial for each
    fixed: Sequence[str]  # options of all jobs

    def jobs(self, values: Mapping[str, Any]) -> list[list[str]]:
        """The options of each job of the trial with these values."""
        return [[*self.fixed, *self.options(values), *repeat] for repeat in self.repeated]

    @property
    def repeated(self) -> list[tuple[str, ...]]:
        """Every combination of repeats as options."""
        return list(product(*([f"{key}={value}" for value in given] for key, given in self.repeats.items())))

    def options(self, values: Mapping[str, Any]) -> list[str]:
        """The drawn values as options."""
        return [f"{key}={as_option(values[key], drawn)}" for key, drawn in self.drawn.items()]


@dataclass(eq=False)
class Begun:
    """A trial without result."""

    number: int
    missing: set[str]  # names of its jobs that have not ended
    outcomes: list[Outcome] = field(default_factory=list)


class Trials:
    """Gives the jobs of trials one by one, as there is room for them, until `n_trials` are complete or pruned.

    A trial's value is the mean over its jobs, of each the best value of what its checkpoint callback watches. A trial
    that is refused or fails is replaced by another, its waiting jobs are left out. Trials without result of an earlier
    start come first, with their values, so that their jobs go on from their checkpoints.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        plan: Plan,
        folder: Path,
        make: Callable[[Sequence[str]], Job],
        n_trials: int,
        rerun_failed: bool = False,
        medians: Medians | None = None,
    ) -> None:
        self.study, self.space, self.plan, self.folder, self.make = study, space, plan, folder, make
        self.n_trials, self.rerun_failed, self.medians = n_trials, rerun_failed, medians
        self.left = deque(trial for trial in self.own() if trial.state is TrialState.RUNNING)
        self.told = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in self.own())
        self.begun: set[Begun] = set()
        self.queue: deque[Job] = deque()
        self.waits: dict[str, list[Begun]] = {}  # trials by the name of a job that they need; two may draw the same
        self.failed = self.succeeded = 0  # trials of this start
        self.why = ""  # the last one failed
        self.interrupted = False

    def own(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials of this search, of these states if any are named."""
        mine = [
            trial for trial in self.study.get_trials(deepcopy=False) if trial.user_attrs.get(SWEEP) == self.plan.name
        ]
        return [trial for trial in mine if not states or trial.state in states]

    def before(self) -> tuple[dict[str, Job], dict[str, Outcome]]:
        """Jobs by name, and how they ended, of the trials that an earlier start of the search completed."""
        trials = self.own(TrialState.COMPLETE, TrialState.PRUNED)
        jobs = {job.name: job for trial in trials for job in map(self.make, self.space.jobs(trial.params))}
        outcomes = {name: outcome for name, job in jobs.items() if (outcome := known(job))}
        for name, outcome in outcomes.items():
            self._look(jobs[name], outcome)
        return jobs, outcomes

    @property
    def gave_up(self) -> bool:
        return self.failed - self.succeeded >= GIVE_UP

    def next(self) -> Job | None:
        """The next job to begin; None: none for now."""
        while not self.interrupted and (self.queue or self._begin()):
            if self.queue:
                job = self.queue.popleft()
                self.plan.add(job.overrides)
                self.plan.write(self.folder)
                return job
        return None

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Takes how a job ended; the study learns of a trial when all its jobs did."""
        if outcome.status in ("interrupted", "waiting"):  # as are the trials: they go on at the next start
            self.interrupted = True
            return
        self._look(job, outcome)
        for trial in self.waits.pop(job.name, ()):
            trial.missing.discard(job.name)
            trial.outcomes.append(outcome)
            if not outcome.done or is_pruned(outcome):
                self._leave_out(trial)
            if not trial.missing:
                self._tell(trial)

    def _begin(self) -> bool:
        """Queues the jobs of another trial; whether there was one to begin."""
        trial: Trial | FrozenTrial
        if self.left:
            trial = self.left.popleft()
        elif self.told + len(self.begun) < self.n_trials and not self.gave_up:
            trial = self.study.ask(dict(self.space.drawn))
            trial.set_user_attr(SWEEP, self.plan.name)
        else:
            return False
        jobs = [self._job(options) for options in self.space.jobs(trial.params)]
        begun = Begun(trial.number, {job.name for job in jobs})
        self.begun.add(begun)
        for job in jobs:
            self.waits.setdefault(job.name, []).append(begun)
        new = [job for job in jobs if len(self.waits[job.name]) == 1]
        self.queue.extend(new)
        for job in new:
            if job in self.queue and (before := settled(job, self.rerun_failed)):
                self.queue.remove(job)
                self.ended(job, before)
        return True

    def _job(self, options: Sequence[str]) -> Job:
        job = self.make(options)
        if not self.medians:
            return job
        callbacks = {**job.config["callbacks"], **self.medians.callbacks()}
        return replace(job, config={**job.config, "callbacks": callbacks})  # other jobs share parts of the old one

    def _look(self, job: Job, outcome: Outcome) -> None:
        if self.medians:
            self.medians.add(outcome, Path(job.folder))

    def _leave_out(self, trial: Begun) -> None:
        """Takes the trial's waiting jobs out of the queue, but for those that another trial needs."""
        for job in [job for job in self.queue if job.name in trial.missing]:
            trial.missing.discard(job.name)
            self.waits[job.name].remove(trial)
            if not self.waits[job.name]:
                del self.waits[job.name]
                self.queue.remove(job)

    def _tell(self, begun: Begun) -> None:
        """Tells the study what became of a trial."""
        self.begun.discard(begun)
        values = [outcome.value for outcome in begun.outcomes if outcome.done and outcome.value is not None]
        if len(values) < len(begun.outcomes):
            self.study.tell(begun.number, state=TrialState.FAIL)
            self.failed += 1
            without = (one.reason for one in begun.outcomes if not one.done)
            self.why = next(without, "there is no figure of a validation split")
            return
        self.told += 1
        self.succeeded += 1
        if any(map(is_pruned, begun.outcomes)):
            self.study.tell(begun.number, state=TrialState.PRUNED)
        else:
            self.study.tell(begun.number, fmean(values))
