"""Hydra's interface to what runs the jobs of a sweep: from options to jobs in folders of their own, and back."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from dlkit.rundir import locked
from dlkit.sweeps.compose import Composer
from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.plan import Plan


class SweepLauncher(Launcher):
    """Makes jobs of option lists; subclasses say where they run, in `execute`.

    The folder `hydra.sweep.dir` holds the plan that the sweeper has written, a lock while the launcher works, and a
    folder for each job, named after what is swept.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.config = hydra_context, config

    @abstractmethod
    def execute(self, jobs: Sequence[Job], folder: Path) -> list[Outcome]:
        """Runs the jobs of the sweep in this folder, and says how each ended, in their order. A job may be done, or
        begun, already. What fails in a job is no error here."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Hydra's entry: JobReturns in the order of the jobs, whose value is `Outcome.value`."""
        setup_globals()
        folder = Path(self.config.hydra.sweep.dir).absolute()
        plan = Plan.read(folder)
        assert plan is not None, "the sweeper writes the plan first"
        composer = Composer(self.context.config_loader, self.config)
        jobs = [self._job(composer, plan, folder, list(overrides)) for overrides in job_overrides]
        with locked(folder):
            outcomes = self.execute(jobs, folder)
        return [_returned(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]

    def _job(self, composer: Composer, plan: Plan, folder: Path, overrides: list[str]) -> Job:
        config, choices = composer.compose(overrides)
        name = plan.name_of(overrides)
        given = tuple(text for text in overrides if not text.startswith(("hydra.", "hydra/")))
        return Job(name, given, config, choices, str(folder / name), os.getcwd())


def _returned(job: Job, outcome: Outcome) -> JobReturn:
    """As Hydra's sweepers read it."""
    done = JobReturn(overrides=list(job.overrides), working_dir=job.folder, task_name=job.name)
    done.status = JobStatus.COMPLETED if outcome.done else JobStatus.FAILED
    done.return_value = outcome if outcome.done else RuntimeError(f"{outcome.status}: {outcome.reason}")
    return done
