"""All combinations of the values that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from dlkit.mistakes import answered
from dlkit.rundir import locked
from dlkit.sweeps.closing import close
from dlkit.sweeps.launcher import SweepLauncher
from dlkit.sweeps.plan import opened, place, split

ONCE = ("hydra.mode=", "hydra.sweep.dir=", "hydra.launcher.rerun_failed=")


class Grid:
    """Every combination of all values, as Hydra's own sweeper makes them; but jobs are named and can be gone on with,
    and none is composed beforehand, since the preflight has looked at all. `params` are options as on the command line,
    which wins over them.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.context, self.task = config, hydra_context, task_function

    def sweep(self, arguments: list[str]) -> None:
        """Runs all jobs, reports on them, and ends the program with 0, 1 where some failed, or 130 after Ctrl-C."""
        with answered():
            last = asked(self.context, self.params, arguments)
            (jobs,) = BasicSweeper.split_arguments(list(last.values()), None)
            swept = [key for key, one in last.items() if one.is_sweep_override()]
            fixed = dict(split(text) for text in jobs[0] if split(text)[0] not in swept)
            folder = folder_of(self.config, fixed, swept)
            launcher = launcher_of(self.config, self.context, self.task, folder)
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                plan = opened(folder, command(self.config, arguments), fixed, swept)
                plan.add(*jobs)
                plan.write(folder)
            returns = launcher.launch(jobs, initial_job_idx=0)
        close(returns, folder)


def asked(context: HydraContext, params: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Override]:
    """What a file's `params` and the command line ask for, by key; of a key given twice the last."""
    texts = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    parsed = OverridesParser.create(config_loader=context.config_loader).parse_overrides(texts)
    return {one.key_or_group: one for one in parsed}


def folder_of(config: DictConfig, fixed: Mapping[str, str], swept: list[str]) -> Path:
    """Where the sweep is: as `hydra.sweep.dir` says if it was typed, else under the name `sweep`, else a made one."""
    typed = any(text.startswith("hydra.sweep.dir=") for text in config.hydra.overrides.hydra)
    if typed:
        return Path(config.hydra.sweep.dir)
    return place(config.sweep, fixed, swept)


def launcher_of(config: DictConfig, context: HydraContext, task: TaskFunction, folder: Path) -> SweepLauncher:
    """The launcher that the config names, for the sweep in this folder. Raises ValueError for others than dlkit's."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)
    plugin: Any = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    launcher = getattr(plugin, "inner", None)
    if not isinstance(launcher, SweepLauncher):
        name = config.hydra.runtime.choices["hydra/launcher"]
        raise ValueError(
            f"hydra/launcher={name}: cannot go on with jobs; local, stacked, slurm and ray can, or add "
            "hydra/sweeper=basic"
        )
    return launcher


def command(config: DictConfig, arguments: Sequence[str]) -> list[str]:
    """What was typed behind `dlkit train -m`, but for where the sweep is, and what is for one start of it only."""
    sources = config.hydra.runtime.config_sources
    given = [word for one in sources if one.provider == "command-line" for word in ("--config-dir", str(one.path))]
    name = config.hydra.job.config_name
    given += ["--config-name", name] if name != "train" else []
    hydra = [text for text in config.hydra.overrides.hydra if not text.startswith(ONCE)]
    last = {text.partition("=")[0]: text for text in hydra}  # `dlkit sweep resume` adds some each time
    return [*given, *last.values(), *arguments]
