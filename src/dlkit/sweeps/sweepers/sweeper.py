"""What all sweepers share: the options asked for, the sweep's folder, its launcher, and the command that it records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from dlkit.sweeps.launchers.launcher import SweepLauncher
from dlkit.sweeps.options import Options
from dlkit.sweeps.plan import folder_of

ONCE = ("hydra.mode=", "hydra.sweep.dir=", "hydra.launcher.rerun_failed=")


class Sweeper:
    """`params` are options as on the command line, which wins over them."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.context, self.task = config, hydra_context, task_function

    def options(self, arguments: Sequence[str]) -> Options:
        """What `params` and the command line ask for."""
        texts = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        return Options(OverridesParser.create(config_loader=self.context.config_loader).parse_overrides(texts))

    def folder(self, fixed: Mapping[str, str], swept: Sequence[str]) -> Path:
        """Where the sweep is: in `hydra.sweep.dir` if that was typed, else under the name `sweep`, else a made one."""
        hydra = self.config.hydra
        return folder_of(hydra, hydra.overrides.hydra, self.config.sweep, fixed, swept)

    def launcher(self, folder: Path) -> SweepLauncher:
        """The config's launcher, for the sweep in this folder. Raises ValueError for others than dlkit's."""
        with open_dict(self.config):
            self.config.hydra.sweep.dir = str(folder)
        plugin: Any = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.task, config=self.config
        )
        launcher = getattr(plugin, "inner", None)
        if not isinstance(launcher, SweepLauncher):
            name = self.config.hydra.runtime.choices["hydra/launcher"]
            raise ValueError(
                f"hydra/launcher={name}: cannot go on with jobs; local, stacked, slurm and ray can, or add "
                "hydra/sweeper=basic"
            )
        return launcher

    def command(self, arguments: Sequence[str]) -> list[str]:
        """What was typed behind `dlkit train -m`, but for where the sweep is, and what is for one start of it only."""
        sources = self.config.hydra.runtime.config_sources
        given = [word for one in sources if one.provider == "command-line" for word in ("--config-dir", str(one.path))]
        name = self.config.hydra.job.config_name
        given += ["--config-name", name] if name != "train" else []
        hydra = [text for text in self.config.hydra.overrides.hydra if not text.startswith(ONCE)]
        last = {text.partition("=")[0]: text for text in hydra}  # `dlkit sweep resume` adds some each time
        return [*given, *last.values(), *arguments]
