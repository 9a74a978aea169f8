"""dlkit's launchers and sweepers as Hydra's plugins. Every Hydra program imports it at its start: nothing heavy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Launcher(Launcher):
    """Passes everything on to a launcher of dlkit.sweeps."""

    def __init__(self, **options: Any) -> None:
        self.inner = self.make(options)

    @abstractmethod
    def make(self, options: dict[str, Any]) -> Launcher:
        """The launcher, whose module is imported here only."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return self.inner.launch(job_overrides, initial_job_idx)


class LocalLauncher(_Launcher):
    """`hydra/launcher=local`; see dlkit.sweeps.local."""

    def make(self, options: dict[str, Any]) -> Launcher:
        from dlkit.sweeps.local import Local

        return Local(**options)


class RayLauncher(_Launcher):
    """`hydra/launcher=ray`; see dlkit.sweeps.ray_cluster."""

    def make(self, options: dict[str, Any]) -> Launcher:
        from dlkit.sweeps.ray_cluster import Ray

        return Ray(**options)


class SlurmLauncher(_Launcher):
    """`hydra/launcher=slurm`; see dlkit.sweeps.slurm."""

    def make(self, options: dict[str, Any]) -> Launcher:
        from dlkit.sweeps.slurm import Slurm

        return Slurm(**options)


class _Sweeper(Sweeper):
    """Passes everything on to a sweeper of dlkit.sweeps, which is made where its mistakes can be answered."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    @abstractmethod
    def make(self, options: dict[str, Any]) -> Any:
        """The sweeper, whose module is imported here only."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from dlkit.mistakes import answered

        with answered():
            self.inner = self.make(self.options)
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        return self.inner.sweep(arguments)


class GridSweeper(_Sweeper):
    """`hydra/sweeper=grid`; see dlkit.sweeps.grid."""

    def make(self, options: dict[str, Any]) -> Any:
        from dlkit.sweeps.grid import Grid

        return Grid(**options)


class OptunaSweeper(_Sweeper):
    """`hydra/sweeper=optuna`; see dlkit.sweeps.search."""

    def make(self, options: dict[str, Any]) -> Any:
        from dlkit.sweeps.search import Search

        return Search(**options)
