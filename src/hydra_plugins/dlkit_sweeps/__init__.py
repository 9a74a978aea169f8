"""dlkit's launchers and sweepers as Hydra's plugins. Every Hydra program imports it at its start: nothing heavy here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """`hydra/launcher=local`; see dlkit.sweeps.local."""

    def __init__(self, **options: Any) -> None:
        from dlkit.sweeps.local import Local

        self.inner = Local(**options)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return self.inner.launch(job_overrides, initial_job_idx)


class GridSweeper(Sweeper):
    """`hydra/sweeper=grid`; see dlkit.sweeps.grid."""

    def __init__(self, **options: Any) -> None:
        from dlkit.sweeps.grid import Grid

        self.inner = Grid(**options)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        return self.inner.sweep(arguments)
