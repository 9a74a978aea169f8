"""A search for the best values of options, over Optuna: Akiba et al. 2019."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dlkit.log import console
from dlkit.mistakes import answered
from dlkit.rundir import locked
from dlkit.settings import program
from dlkit.sweeps.jobs import Job
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.options import Options
from dlkit.sweeps.plan import REPEATS, SAMPLER, opened, split
from dlkit.sweeps.sweepers.finish import finish
from dlkit.sweeps.sweepers.optuna.pruning import Medians

try:
    import optuna
    from optuna import Study
    from optuna.samplers import RandomSampler, TPESampler
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState
except ImportError:
    raise ValueError("hydra/sweeper=optuna: Optuna is not installed: pip install 'dlkit[optuna]'") from None

from dlkit.sweeps.sweepers.optuna.space import compatible, distribution
from dlkit.sweeps.sweepers.optuna.trials import GIVE_UP, SWEEP, Space, Trials
from dlkit.sweeps.sweepers.sweeper import Sweeper
from dlkit.types import PositiveInt

SAMPLERS = {"tpe": TPESampler, "random": RandomSampler}
DIRECTIONS: dict[bool, Literal["maximize", "minimize"]] = {True: "maximize", False: "minimize"}


class Search(Sweeper):
    """Draws values, trains with them, draws better ones, until `n_trials` are complete or pruned.

    What is best is what the checkpoint callback keeps: the best value of its `monitor`, a figure of the validation
    split. What is swept is searched, but for seeds and folds (`REPEATS`), with all of which every trial is trained: its
    value is the mean.
    """

    def __init__(
        self,
        *,
        sampler: Literal["tpe", "random"] = "tpe",
        seed: int = 0,
        direction: Literal["minimize", "maximize"] | None = None,
        pruner: Literal["none", "median"] = "none",
        n_trials: PositiveInt = 20,
        n_jobs: PositiveInt = 8,
        storage: str | None = None,
        study_name: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(params)
        self.sampler, self.seed, self.direction, self.pruner = sampler, seed, direction, pruner
        self.n_trials, self.n_jobs, self.storage, self.study_name = n_trials, n_jobs, storage, study_name

    def sweep(self, arguments: list[str]) -> None:
        """Searches, says what was found, and ends the program: 0, 1 where the search gave up, or 130 after Ctrl-C."""
        with answered():
            options = self.options(arguments)
            space = _space(options)
            fixed = {SAMPLER: self.sampler, **dict(map(split, options.fixed))}
            folder = self.folder(fixed, options.keys).absolute()
            plan = opened(folder, self.command(arguments), fixed, options.keys)
            launcher = self.launcher(folder)
            make = launcher.maker(plan, folder)
            metric, rises = self._aim(make(space.fixed))
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                plan.write(folder)
                study = self._study(folder, rises)
                _agrees(study, space, folder)
                medians = Medians(folder / "pruning.json", metric, rises) if self.pruner == "median" else None
                trials = Trials(study, space, plan, folder, make, self.n_trials, launcher.rerun_failed, medians)
                with Live(*trials.before(), folder, self.n_trials * len(space.repeated)) as live:
                    launcher.feed(trials, live, getattr(launcher, "n_jobs", None) or self.n_jobs)
                code = tell(trials, metric, rises, self._single())
        finish(code, folder)

    def _single(self) -> list[str]:
        """What a single run of this search needs to be typed before its options."""
        flags = [word for word in self.command([]) if not word.startswith("hydra")]
        return [*flags, *(["hydra.mode=RUN"] if self.params else [])]  # what brought params may have brought the mode

    def _aim(self, job: Job) -> tuple[str, bool]:
        """The figure to optimise, and whether more of it is better: what the checkpoint callback watches."""
        if not (job.config.get("callbacks") or {}).get("checkpoint"):
            raise ValueError("hydra/sweeper=optuna: optimises what callbacks.checkpoint watches; do not leave that out")
        metric, rises = job.monitor, job.higher
        if self.direction not in (None, DIRECTIONS[rises]):
            raise ValueError(
                f"hydra.sweeper.direction={self.direction}: but callbacks.checkpoint keeps the "
                f"{'largest' if rises else 'smallest'} {metric}; choose the figure by callbacks.checkpoint.monitor"
            )
        return metric, rises

    def _study(self, folder: Path, rises: bool) -> Study:
        """The study in its storage, made or gone on with."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage: str | BaseStorage | None = self.storage
        if storage is None:
            path = folder / "study.journal"
            path.with_name(path.name + ".lock").unlink(missing_ok=True)  # of a killed search: the folder is ours now
            storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage, study_name=self.study_name or folder.name, direction=DIRECTIONS[rises], load_if_exists=True
        )
        if study.direction.name.lower() != DIRECTIONS[rises]:
            raise ValueError(f"{folder}: its study is to {study.direction.name.lower()}; take another name, sweep=NAME")
        if self.storage is None:
            _drop_unborn(study)
        # a search that goes on draws anew, not the same values again
        study.sampler = SAMPLERS[self.sampler](seed=self.seed + len(study.get_trials(deepcopy=False)))
        return study


def _drop_unborn(study: Study) -> None:
    """Fails trials that a killed search had asked for but not marked as its own: they have no jobs, maybe no values.

    Only for a storage of the search's own: in a shared one they may be another search's, at work now.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if SWEEP not in trial.user_attrs:
            study.tell(trial.number, state=TrialState.FAIL)


def _space(options: Options) -> Space:
    """The search space: swept options; seeds and folds repeat each trial. Raises ValueError where there is none."""
    repeated = [one for one in options.swept if one.key_or_group in REPEATS]
    drawn = {one.get_key_element(): distribution(one) for one in options.swept if one not in repeated}
    if not drawn:
        raise ValueError(
            "hydra/sweeper=optuna: nothing to search; say what for, as in 'optim.lr=tag(log,interval(1e-4,1))' "
            "or model=mlp,cnn"
        )
    repeats = {one.key_or_group: list(one.sweep_string_iterator()) for one in repeated}
    return Space(drawn, repeats, options.fixed)


def _agrees(study: Study, space: Space, folder: Path) -> None:
    """Raises ValueError where the study has drawn an option from something else, which would tell it nothing now."""
    for trial in study.get_trials(deepcopy=False):
        for key, old in trial.distributions.items():
            if key in space.drawn and not compatible(old, space.drawn[key]):
                raise ValueError(
                    f"{key}: its study in {folder} has drawn it from others: only the ends of an interval or range may "
                    "change; take another name, sweep=NAME"
                )


def tell(trials: Trials, metric: str, rises: bool, flags: list[str]) -> int:
    """Says which trial is best, and how to train it again, with these flags too; the exit code."""
    done, pruned, failed = map(trials.own, (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    others = [f"{len(some)} {name}" for some, name in ((pruned, "pruned"), (failed, "failed")) if some]
    said = ["search  " + ", ".join([f"{len(done)} trials complete", *others])]
    if done:
        best = (max if rises else min)(done, key=lambda trial: trial.value or 0.0)
        options = trials.space.options(best.params)
        said.append(f"best    {metric} {best.value:.4f}: {' '.join(options)}")
        fixed = [option for option in trials.space.fixed if not option.startswith("sweep=")]
        again = shlex.join([*flags, *fixed, *options, *trials.space.repeated[0]])
        said.append(f"again   {program()} {again}")
    if trials.gave_up:
        said.append(f"gave up: {GIVE_UP} more trials failed than not, the last one: {trials.why}")
    elif trials.told < trials.n_trials:
        said.append("the same command goes on")
    for line in said:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return 1 if trials.gave_up else 130 if trials.told < trials.n_trials else 0
