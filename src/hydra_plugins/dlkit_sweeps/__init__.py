"""dlkit's launchers and sweepers as Hydra's plugins. Every Hydra program imports it at its start: nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Launcher(Launcher):
    """Passes everything on to a launcher of dlkit.sweeps."""

    target: str  # its dotted name; what it takes are the options

    def __init__(self, **options: Any) -> None:
        self.inner = _found(self.target)(**options)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns: Sequence[JobReturn] = self.inner.launch(job_overrides, initial_job_idx)
        return returns


class LocalLauncher(_Launcher):
    """`hydra/launcher=local`"""

    target = "dlkit.sweeps.launchers.local.Local"


class RayLauncher(_Launcher):
    """`hydra/launcher=ray`"""

    target = "dlkit.sweeps.launchers.ray.cluster.Ray"


class SlurmLauncher(_Launcher):
    """`hydra/launcher=slurm`"""

    target = "dlkit.sweeps.launchers.slurm.cluster.Slurm"


class StackedLauncher(_Launcher):
    """`hydra/launcher=stacked`"""

    target = "dlkit.sweeps.launchers.stacked.Stacked"


class _Sweeper(Sweeper):
    """Passes everything on to a sweeper of dlkit.sweeps, which is made where its mistakes can be answered."""

    target: str

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from dlkit.mistakes import answered

        with answered():
            self.inner = _found(self.target)(**self.options)
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        return self.inner.sweep(arguments)


class GridSweeper(_Sweeper):
    """`hydra/sweeper=grid`"""

    target = "dlkit.sweeps.sweepers.grid.Grid"


class OptunaSweeper(_Sweeper):
    """`hydra/sweeper=optuna`"""

    target = "dlkit.sweeps.sweepers.optuna.search.Search"


def _found(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)
