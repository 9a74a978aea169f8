"""Composes what a command line asks for, once per set of group choices, and judges each composition."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dlkit.cli.preflight import keys
from dlkit.cli.preflight.groups import Groups
from dlkit.cli.preflight.nodes import Composed, Judge, plain, shared, without_encoder
from dlkit.cli.preflight.overrides import singles, values
from dlkit.cli.preflight.points import Condition
from dlkit.cli.preflight.signatures import TargetError
from dlkit.cli.preflight.targets import is_ours, signature
from dlkit.cli.preflight.values import show
from dlkit.settings import GIVEN
from dlkit.sweeps.compose import Composer, is_simple, put

# Lines of Hydra's and OmegaConf's errors that tell a user nothing.
NOISE = ("full_key", "object_type", "reference_type", "See http", "Search path", "provider=")


class Compositions:
    """Composes and judges. `judge` remembers the causes of failed imports."""

    def __init__(self, hydra: Hydra, config_name: str, groups: Groups, judge: Judge):
        self.hydra = hydra
        self.config_name = config_name
        self.groups = groups
        self.judge = judge
        self.composer: Composer | None = None  # once there is a config

    def compose(self, chosen: list[Override]) -> tuple[DictConfig | None, list[str]]:
        """The config of these choices, with the node `hydra`; None and a line where that fails."""
        texts = [override.input_line or "" for override in chosen]
        try:
            if self.composer is None:
                config = self.hydra.compose_config(
                    self.config_name, texts, RunMode.RUN, with_log_configuration=False, from_shell=False
                )
                self.composer = Composer(self.hydra.config_loader, config)
                self.composer.bases[tuple(sorted(texts))] = config
            return copy.deepcopy(self.composer.base(texts)), []
        except MissingConfigException as error:  # named by a file's defaults list
            group, _, choice = (error.missing_cfg_file or "").rpartition("/")
            return None, self.groups.judge_choice(group, group, choice) if group else [_one_line(error)]
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            return None, [_one_line(error)]

    def mistakes(self, config: DictConfig, others: list[Override]) -> list[tuple[str, Condition]]:
        """Puts the options into the config, every value of a sweep in turn, and judges what comes out: the mistakes,
        each with the swept options that it needs."""
        first: list[str] = []
        fitting: list[Override] = []
        for override in others:
            wrong = self._key(override, config) or _apply(singles(override)[0], config)
            first += wrong
            fitting += [] if wrong else [override]
        with open_dict(config):
            del config["hydra"]
        composed = plain(config)
        first += self.judge.judge(composed)
        needs: dict[str, set[str]] = {line: set() for line in first}
        found: list[tuple[str, Condition]] = []
        for override in fitting:
            if not override.is_sweep_override() or override.key_or_group.startswith("hydra."):
                continue
            lines = self._of_values(override, config, composed)
            text, *rest = lines
            for line in first:
                if line in lines[text] and not all(line in lines[other] for other in rest):
                    needs[line].add(text)
            found += [(line, frozenset([other])) for other in rest for line in lines[other] if line not in needs]
        return [*((line, frozenset(swept)) for line, swept in needs.items()), *found]

    def _of_values(self, override: Override, config: DictConfig, composed: Composed) -> dict[str, list[str]]:
        """The mistakes with each value of a sweep, by `key=value`; between the ends of a range all are judged alike."""
        top = override.key_or_group.split(".")[0]
        only = None if top in composed.referenced else top

        def judged(one: Override) -> list[str]:
            if is_simple(one) and not composed.referenced:  # the usual, and 10 times as fast
                values = put(composed.values, one.key_or_group.split("."), one.value())
                return self.judge.judge(replace(composed, values=values), only)
            return _apply(one, config) or self.judge.judge(plain(config), only)

        axis = [replace(one, type=OverrideType.CHANGE) if one.is_add() else one for one in singles(override)]
        ends = [axis[0], axis[-1]] if override.is_range_sweep() else axis
        lines = {str(one.input_line): judged(one) for one in ends}
        if any(lines.values()) and len(ends) < len(axis):
            lines = {str(one.input_line): judged(one) for one in axis}
        _apply(axis[0], config)
        return lines

    def _key(self, override: Override, config: DictConfig) -> list[str]:
        """A line where the key of an option does not exist, or exists although it is to be added."""
        key, top = override.key_or_group, override.key_or_group.split(".")[0]
        nodes: dict[str, Any] = {}
        for name in ["hydra"] if top == "hydra" else [name for name in config if name != "hydra"]:
            nodes[str(name)] = _raw(config, str(name))
        found = keys.lookup(key, nodes)
        if override.package is not None:
            return [f"{override.input_line}: there is no group {key}"]
        if override.is_add() and found and not isinstance(override.value(), dict | list):
            return [f"{override.input_line}: exists already; write {(override.input_line or '')[1:]}"]
        if override.is_add() or override.is_force_add():
            return []
        if found is None:
            return [self._unknown(override, nodes)]
        return _replaces_object(override, found[0])

    def _unknown(self, override: Override, nodes: dict[str, Any]) -> str:
        key = override.key_or_group
        if override.is_delete():
            return "~" + keys.unknown(key, nodes).replace("mean ", "mean ~")
        value = values(override)[0]
        if "." not in key and (group := self.groups.like(key, None if value is None else show(value))):
            return f"{key}: no such group; did you mean {group}={override.get_value_string()}?"
        if self._is_left_out(key, nodes):
            return f"{key}: not in the config, but an option of its _target_; write +{override.input_line}"
        hint = without_encoder(key.partition(".")[0], nodes.get("data") or {})
        return keys.unknown(key, nodes, "" if hint else self.groups.owners(key)) + hint

    def _is_left_out(self, key: str, nodes: dict[str, Any]) -> bool:
        """Whether a target of the key's node takes an option that its file does not name."""
        parent, _, name = key.rpartition(".")
        found = keys.lookup(parent, nodes) if parent else None
        if not found or not isinstance(found[0], dict):
            return False
        targets = [found[0].get("_target_"), *shared(parent, found[0]).values()]
        known = [target for target in targets if isinstance(target, str) and (self.judge.trains or is_ours(target))]
        try:
            return any(name in signature(target, GIVEN.get(parent, ())).parameters for target in known)
        except TargetError:
            return False


def _raw(config: DictConfig, name: str) -> Any:
    node = OmegaConf.to_container(OmegaConf.masked_copy(config, [name]), resolve=False)
    assert isinstance(node, dict)
    return node[name]


def _apply(override: Override, config: DictConfig) -> list[str]:
    """Changes the config as Hydra will."""
    try:
        ConfigLoaderImpl._apply_overrides_to_config([override], config)
    except (HydraException, OmegaConfBaseException) as error:
        return [f"{override.input_line}: {_one_line(error.__cause__ or error)}"]
    return []


def _replaces_object(override: Override, current: Any) -> list[str]:
    """A line where a number or word would take the place of a node with options."""
    if override.is_delete() or not isinstance(current, dict) or "_target_" not in current:
        return []
    wrong = [value for value in values(override) if value is not None and not isinstance(value, dict)]
    names = ", ".join(f"{override.key_or_group}.{name}" for name in current if not name.startswith("_"))
    leave = "" if "." not in override.key_or_group else f"; ~{override.key_or_group} leaves it out"
    return [
        f"{override.key_or_group}={show(value)}: is a group of options; its options are {names or 'none'}{leave}"
        for value in wrong
    ]


def _one_line(error: BaseException) -> str:
    """An error of Hydra, OmegaConf or the YAML reader in one line, without where to read on."""
    if isinstance(error, YAMLError):
        mark = getattr(error, "problem_mark", None)
        place = f"{mark.name}, line {mark.line + 1}: " if mark else ""
        return f"{place}{getattr(error, 'problem', None) or error}"
    while error.__cause__ is not None and not str(error).strip():
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(NOISE)]
    return " ".join(kept[:2]).replace("is not in struct", "does not exist") or type(error).__name__
