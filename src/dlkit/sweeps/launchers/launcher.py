"""Hydra's interface to what runs the jobs of a sweep: from options to jobs in folders of their own, and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from dlkit.log import console
from dlkit.rundir import locked
from dlkit.sweeps.compose import Composer
from dlkit.sweeps.jobs import Job, Outcome, settled
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.plan import Plan


class Source(Protocol):
    """Jobs that are not known beforehand: the next ones depend on how others end."""

    def next(self) -> Job | None:
        """The next job to begin; None: none for now."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Takes how a job ended, after its retries."""


class SweepLauncher(Launcher):
    """Makes jobs of option lists; subclasses say where they run, in `execute`.

    The folder `hydra.sweep.dir` holds the plan that the sweeper has written, a lock while the launcher works, and a
    folder for each job, named after what is swept. Jobs that are done are not run again, nor are those that failed,
    unless `rerun_failed`.
    """

    def __init__(self, *, rerun_failed: bool) -> None:
        self.rerun_failed = rerun_failed

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.config = hydra_context, config

    @abstractmethod
    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """Runs the jobs, tells `live` of each as it begins and ends, and says how each ended, in their order. A job may
        have begun already. What fails in a job is no error here; where the sweep was interrupted, what did not end
        is `interrupted` or `waiting`."""

    @abstractmethod
    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Runs the jobs of a source until it has none, the next one as soon as there is room; `at_once` says for how
        many, where the launcher does not know."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Hydra's entry: JobReturns in the order of the jobs, whose value is an `Outcome`."""
        setup_globals()
        folder = Path(self.config.hydra.sweep.dir).absolute()
        plan = Plan.read(folder)
        assert plan is not None, "the sweeper writes the plan first"
        make = self.maker(plan, folder)
        jobs = [make(overrides) for overrides in job_overrides]
        with locked(folder):
            ended = {job.name: before for job in jobs if (before := settled(job, self.rerun_failed))}
            todo = list({job.name: job for job in jobs if job.name not in ended}.values())
            if todo:
                with Live({job.name: job for job in jobs}, ended, folder) as live:
                    outcomes = self.execute(todo, live)
                ended |= {job.name: outcome for job, outcome in zip(todo, outcomes, strict=True)}
            else:
                console.print("sweep   all jobs ended before, there is nothing to run", markup=False)
        return [returned(job, ended[job.name]) for job in jobs]

    def maker(self, plan: Plan, folder: Path) -> Callable[[Sequence[str]], Job]:
        """What makes the job of a list of options; the plan names it."""
        composer = Composer(self.context.config_loader, self.config)
        return lambda overrides: self._job(composer, plan, folder, list(overrides))

    def _job(self, composer: Composer, plan: Plan, folder: Path, overrides: list[str]) -> Job:
        config, choices = composer.compose(overrides)
        name = plan.name_of(overrides)
        given = tuple(text for text in overrides if not text.startswith(("hydra.", "hydra/", "sweep=")))
        return Job(name, given, config, choices, str(folder / name), str(Path.cwd()))


def returned(job: Job, outcome: Outcome) -> JobReturn:
    """As Hydra's sweepers read it."""
    done = JobReturn(overrides=list(job.overrides), working_dir=job.folder, task_name=job.name)
    done.status = JobStatus.COMPLETED if outcome.done else JobStatus.FAILED
    done.return_value = outcome if outcome.done else RuntimeError(f"{outcome.status}: {outcome.reason}")
    return done
