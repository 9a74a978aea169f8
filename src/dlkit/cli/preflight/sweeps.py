"""What a composed config says of sweeps, in Hydra's own node."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from dlkit.cli.preflight.targets import signature
from dlkit.cli.preflight.values import mistakes
from dlkit.settings import as_text

HYDRAS = ("hydra.", "hydra/")


def hydras_own(config: DictConfig, others: Iterable[Override]) -> Any:
    """The node `hydra` with the options that are for it; where one of them is wrong, without."""
    node = OmegaConf.create({"hydra": copy.deepcopy(config.hydra)})
    with suppress(HydraException):  # told when all options are judged
        own = [one for one in others if one.key_or_group.startswith("hydra.") and not one.is_sweep_override()]
        ConfigLoaderImpl._apply_overrides_to_config(own, node)
    return node.hydra


def params(config: DictConfig, typed: Iterable[str]) -> list[str]:
    """What a file sweeps, `hydra.sweeper.params`, as options; what is typed too wins."""
    known = {text.partition("=")[0].lstrip("+~") for text in typed}
    found = config.hydra.sweeper.get("params") or {}
    return [f"{key}={as_text(value)}" for key, value in found.items() if str(key).lstrip("+~") not in known]


def one_value(overrides: Iterable[Override]) -> tuple[list[Override], list[str]]:
    """The options but for those of the sweep itself that have several values, and a line for each of these."""
    right, lines = [], []
    for one in overrides:
        key = one.key_or_group
        if one.is_sweep_override() and (key.startswith(HYDRAS) or key in ("sweep", "dry_run")):
            lines.append(f"{one.input_line}: all jobs share it, give it one value")
        else:
            right.append(one)
    return right, lines


def of_plugins(config: DictConfig) -> list[str]:
    """The mistakes in the options of dlkit's launchers and sweepers."""
    import hydra_plugins.dlkit_sweeps as plugins

    lines = []
    for part in ("launcher", "sweeper"):
        options: dict[str, Any] = OmegaConf.to_container(config.hydra[part])  # type: ignore[assignment]
        module, _, name = str(options.get("_target_")).rpartition(".")
        if module == plugins.__name__:
            for option, takes in signature(getattr(plugins, name).target).parameters.items():
                if option in options:
                    lines += mistakes(f"hydra.{part}.{option}", options[option], takes.annotation)
    return lines


def is_drawn(config: DictConfig) -> bool:
    """Whether values are drawn, in a search; else all combinations are run."""
    return not str(config.hydra.sweeper.get("_target_")).endswith(("GridSweeper", "BasicSweeper"))


def is_local(config: DictConfig) -> bool:
    """Whether jobs run on this machine."""
    return str(config.hydra.launcher.get("_target_")).endswith(("LocalLauncher", "StackedLauncher", "BasicLauncher"))


def of_jobs(overrides: Iterable[Override], config: DictConfig, typed: Iterable[str]) -> list[Override]:
    """The options that are the jobs' own, not Hydra's, in the order that the sweeper has: its file's, then as typed."""
    texts = [*map(str, config.hydra.sweeper.get("params") or {}), *typed]
    keys = [re.split("[=@]", text.lstrip("+~"))[0] for text in texts]
    own = [one for one in overrides if not one.key_or_group.startswith(HYDRAS)]
    return sorted(own, key=lambda one: keys.index(one.key_or_group))
