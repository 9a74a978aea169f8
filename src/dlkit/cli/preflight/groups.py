"""Judges the choices of config groups: `model=cnn`, each choice of a sweep, and lists of choices."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ConfigDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from yaml import YAMLError

from dlkit.cli.preflight.keys import exists
from dlkit.cli.preflight.overrides import singles, values
from dlkit.cli.preflight.points import star
from dlkit.cli.preflight.values import show
from dlkit.cli.preflight.words import closest, did_you_mean
from dlkit.settings import GROUPS

SHOWN = 5  # choices that have an option
SINGLE = tuple(group for group in GROUPS if group not in ("callbacks", "experiment"))  # one choice at a time


class Groups:
    """The config groups of the composed search path, a user's own folder included."""

    def __init__(self, loader: ConfigLoader):
        self.loader = loader
        self.names = [name for name in loader.list_groups("") if name != "hydra"]
        self._owners: dict[str, str] = {}

    def choices(self, group: str) -> list[str]:
        """The files of a group, without `.yaml`; one that begins with `_` is what several of them have in common."""
        return [name for name in self.loader.get_group_options(group, ObjectType.CONFIG) if not name.startswith("_")]

    def nested(self, group: str) -> list[str]:
        """The choices in folders within a group: `lectures/sparsity` of experiment."""
        folders = self.loader.get_group_options(group, ObjectType.GROUP)
        return [f"{folder}/{name}" for folder in folders for name in self.choices(f"{group}/{folder}")]

    def is_group(self, override: Override) -> bool:
        """Whether the override chooses from a group: `model=cnn`, `hydra/launcher=basic`, but not `model={…}`."""
        name = override.key_or_group
        return (name in self.names or "/" in name) and not isinstance(override.value(), dict)

    def judge(self, override: Override) -> list[str]:
        """A line for each wrong choice of one override."""
        group, key = override.key_or_group, override.get_key_element()
        if not self.choices(group):
            return [f"{override.input_line}: there is no group {group}{did_you_mean(group, self.names)}"]
        if override.is_delete() and override._value is None:
            return []
        if override.is_force_add():
            return [f"{override.input_line}: write it without ++"]
        return [line for value in values(override) for line in self.judge_choice(group, key, value)]

    def judge_choice(self, group: str, key: str, value: object) -> list[str]:
        """A line where the group has no such choice; `key` is the group as typed."""
        known = self.choices(group)
        nested = self.nested(group)
        if isinstance(value, list) and group in SINGLE:
            sweep = f"{key}={','.join(map(str, value))}"
            return [f"{key}={show(value)}: one choice at a time; a sweep over several is -m {sweep}"]
        if isinstance(value, list):
            return [line for item in value for line in self.judge_choice(group, key, item)]
        name = show(value)
        if value is not None and name.removesuffix(".yaml") in (*known, *nested):
            return []
        within = f"{name.partition('/')[0]}/"
        if beside := [choice for choice in nested if choice.startswith(within)]:
            known, nested = [], beside
        hint = _elsewhere(group, name) or did_you_mean(name, [*known, *nested], before=f"{key}=") or "."
        if value is None and group not in SINGLE:
            hint = f"; ~{group} leaves the group out."
        folders = sorted({f"{choice.rpartition('/')[0]}/…" for choice in nested}) if known else nested
        return [f"{key}={show(value)}: no such choice{hint} {group} has: {', '.join([*known, *folders])}"]

    def holding(self, choice: str) -> str | None:
        """`group=choice` for a choice named without its group: `mnist` is data=mnist."""
        choices = {group: [*self.choices(group), *self.nested(group)] for group in self.names}
        exact = [f"{group}={choice}" for group in self.names if choice in choices[group]]
        if exact:
            return exact[0]
        known = {name: group for group in self.names for name in choices[group]}
        name = closest(choice, known, cutoff=0.75)
        return f"{known[name]}={name}" if name else None

    def like(self, name: str, choice: str | None) -> str | None:
        """The group that a word such as `optimizer` means: like its name and, given a choice, one that has it."""
        having = [group for group in self.names if choice is None or choice in self.choices(group)]
        match = closest(name, having, cutoff=0.5 if choice else 0.7)
        return match or (having[0] if choice and len(having) == 1 else None)

    def owners(self, key: str) -> str:
        """The choices of the key's group whose files have it: `model.channels` belongs to model=cnn."""
        if key not in self._owners:  # reading all files of a group takes 0.1 s
            group, _, rest = key.partition(".")
            choices = self.choices(group) if group in self.names and rest else []
            having = [f"{group}={choice}" for choice in choices if self._has(f"{group}/{choice}", rest)]
            more = f" and {len(having) - SHOWN} more" if len(having) > SHOWN else ""
            self._owners[key] = ", ".join(having[:SHOWN]) + more
        return self._owners[key]

    def _has(self, file: str, key: str) -> bool:
        """Whether a file of the search path, or one beside it that it builds on (`defaults: [_image]`), has the key."""
        try:
            loaded = self.loader.repository.load_config(file)  # type: ignore[attr-defined]
        except YAMLError:  # a broken file that was not chosen
            return False
        if loaded is None:
            return False
        if exists(key, OmegaConf.to_container(loaded.config, resolve=False)):
            return True
        folder = file.rpartition("/")[0]
        bases = [base.path for base in loaded.defaults_list or () if isinstance(base, ConfigDefault) and base.path]
        return any(self._has(f"{folder}/{base}", key) for base in bases if base.startswith("_") and base != "_self_")


def _elsewhere(group: str, name: str) -> str:
    """What to add where a folder here has the choice: `--config-dir conf` is easily forgotten."""
    if name.startswith("_"):  # no choice anywhere
        return ""
    file = f"{group}/{name}.yaml"
    try:
        found = [Path(file), *sorted(Path().glob(f"[!.]*/{file}"))]
        there = next((path for path in found if path.is_file()), None)
    except OSError:  # a name too long, folders of others
        return ""
    return f"; {there} is one: add `--config-dir {there.parents[1]}`." if there else ""


def combinations(chosen: list[Override], limit: int) -> list[list[Override]]:
    """Every set of choices of a sweep; past the limit, each choice once beside the first of the others."""
    options = [singles(override) for override in chosen]
    if prod(map(len, options)) <= limit:
        return [list(row) for row in product(*options)]
    return star(options)
