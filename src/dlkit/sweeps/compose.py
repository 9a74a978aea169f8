"""The config of each job of a sweep, composed once for each set of group choices."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from dlkit.settings import as_text

Composed = tuple[dict[str, Any], dict[str, str]]  # a config without the node `hydra`; group: the file chosen

# What this process has composed, so that a sweep's launcher need not repeat it after the preflight: of configs without
# references, which mean the same in every job, by where configs are, the main one, and what made it.
COMPOSED: dict[tuple[object, ...], Composed] = {}


class Composer:
    """Configs as Hydra's launchers make them, `load_sweep_config`, at a hundredth of the cost: of a thousand jobs that
    differ in values alone, Hydra reads and merges all files a thousand times (44 ms each), here once.
    """

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        self.loader, self.sweep = loader, sweep
        self.parser = OverridesParser.create(config_loader=loader)
        self.parsed: dict[str, tuple[Override, bool]] = {}  # by text; whether it chooses from a group
        self.bases: dict[tuple[str, ...], DictConfig] = {}
        self.first: dict[tuple[str, ...], tuple[str, ...]] = {}  # choices that were composed first, by other options

    def compose(self, overrides: Sequence[str]) -> Composed:
        """The resolved config of a job, without the node `hydra`, and the file chosen of each group.

        A key is a group's where the loader knows such a group; these decide which files are read, and all other
        options are put into what comes of them, as Hydra does. What configs have in common they share: change none.
        """
        parsed = [self._parse(text) for text in overrides]
        groups = tuple(sorted(str(one.input_line) for one, is_group in parsed if is_group))
        options = [one for one, is_group in parsed if not is_group]
        simple = [one for one in options if is_simple(one)]
        others = [one for one in options if not is_simple(one)]
        composed = self._composed(groups, others)
        if composed is None:
            return _resolved(self._with(groups, options))
        config, choices = composed
        for one in simple:
            config = put(config, _names(one), one.value())
        return config, choices

    def _composed(self, groups: tuple[str, ...], others: list[Override]) -> Composed | None:
        """The config of these choices and of the options that are not simple; None where it has references."""
        texts = tuple(str(one.input_line) for one in others)
        where = tuple(source.path for source in self.loader.get_sources())
        name = (where, self.sweep.hydra.job.config_name, groups, texts)
        if name not in COMPOSED:
            if (found := self._assembled(groups, others, self.first.setdefault(texts, groups))) is None:
                config = self._with(groups, others)
                if has_references(config):
                    return None
                found = _resolved(config)
            COMPOSED[name] = found
        return COMPOSED[name]

    def _assembled(self, groups: tuple[str, ...], others: list[Override], first: tuple[str, ...]) -> Composed | None:
        """The config of choices of which more than one differs from the first ones, put together from what each of them
        changes alone, so that a sweep over groups composes the sum of the choices, not their product. None where two of
        them change the same node."""
        places = [i for i, (a, b) in enumerate(zip(first, groups, strict=False)) if a != b]
        if len(places) < 2 or [text.split("=")[0] for text in groups] != [text.split("=")[0] for text in first]:
            return None
        steps = [self._composed((*first[:i], groups[i], *first[i + 1 :]), others) for i in places]
        start = self._composed(first, others)
        if start is None or None in steps:
            return None
        made: list[dict[str, Any]] = []
        for part in (0, 1):
            changes = [_changes(start[part], step[part]) for step in steps if step is not None]
            names = [name for change in changes for name in change]
            if len(set(names)) < len(names) or any(len(step[part]) < len(start[part]) for step in steps if step):
                return None
            made.append({**start[part], **{name: node for change in changes for name, node in change.items()}})
        return made[0], made[1]

    def base(self, groups: Sequence[str]) -> DictConfig:
        """What the choices of groups make, with the node `hydra`. Change none."""
        key = tuple(sorted(groups))
        if key not in self.bases:
            self.bases[key] = self.loader.load_sweep_config(self.sweep, list(groups))
        return self.bases[key]

    def _parse(self, text: str) -> tuple[Override, bool]:
        if text not in self.parsed:
            one = self.parser.parse_override(text)
            self.parsed[text] = one, bool(self.loader.get_group_options(one.key_or_group))
        return self.parsed[text]

    def _with(self, groups: Sequence[str], options: list[Override]) -> DictConfig:
        config = copy.deepcopy(self.base(groups))
        ConfigLoaderImpl._apply_overrides_to_config(options, config)
        return config


def _resolved(config: DictConfig) -> Composed:
    choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
    HydraConfig.instance().set_config(config)  # what `${hydra:…}` refers to
    with open_dict(config):
        del config["hydra"]
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True)), choices


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: node for name, node in new.items() if name not in old or old[name] != node}


def has_references(config: DictConfig) -> bool:
    """Whether a value outside the node `hydra` refers to another."""
    names = [str(name) for name in config if name != "hydra"]
    return "${" in str(OmegaConf.to_container(OmegaConf.masked_copy(config, names), resolve=False))


def is_simple(override: Override) -> bool:
    """Whether it does no more than put a value in the place of another: no addition, no reference, nothing merged."""
    value = override.value()
    plain = not isinstance(value, dict) and "${" not in as_text(value) and not any(map(str.isdigit, _names(override)))
    return plain and not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)


def put(config: dict[str, Any], names: Sequence[str], value: object) -> dict[str, Any]:
    """The config with this value at the names, from the outermost on; what lies beside is shared."""
    first, *rest = names
    return {**config, first: put(config[first], rest, value) if rest else value}


def _names(override: Override) -> list[str]:
    return str(override.key_or_group).split(".")
