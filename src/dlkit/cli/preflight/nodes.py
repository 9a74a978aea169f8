"""Judges a composed config: every node with a `_target_` against what that target takes, the top level against Run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlkit.cli.preflight import keys
from dlkit.cli.preflight.signatures import Signature, TargetError
from dlkit.cli.preflight.targets import is_ours, signature
from dlkit.cli.preflight.values import mistakes as value_mistakes
from dlkit.cli.preflight.values import show
from dlkit.settings import GIVEN, GROUPS, NODES, SHARED

RUN = "dlkit.settings.Run"
HYDRA_ONLY = ("${hydra:", "${now:")  # known once the job runs
OPTIONAL = ("callbacks", "experiment")


@dataclass(frozen=True)
class Composed:
    """A config as dicts and lists."""

    values: dict[str, Any]  # references followed
    mistakes: list[str]  # a line for each reference that leads nowhere
    referenced: set[str]  # names at the top level that other options refer to


def plain(config: DictConfig) -> Composed:
    """The config with its references followed; as it stands where one of them leads nowhere."""
    raw = _container(config, resolve=False)
    found = list(_references(raw))
    referenced = {name for _, text in found for name in re.findall(r"\$\{\.*(\w+)", text)}
    if not found:
        return Composed(raw, [], referenced)
    try:
        return Composed(_container(config, resolve=True), [], referenced)
    except OmegaConfBaseException:
        mistakes = [line for path, text in found if (line := _why(config, path, text))]
        return Composed(raw, mistakes, referenced)


def _container(config: DictConfig, resolve: bool) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _references(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        where = f"{path}.{key}" if path else str(key)
        if isinstance(value, str) and "${" in value:
            yield where, value
        yield from _references(value, where)


def _why(config: DictConfig, path: str, text: str) -> str | None:
    if any(word in text for word in HYDRA_ONLY):
        return None
    try:
        OmegaConf.select(config, path)
    except OmegaConfBaseException as error:
        return f"{path}={text}: {str(error).splitlines()[0]}"
    return None


class Judge:
    """Finds the mistakes of a composed config. `causes` are the errors of failed imports, for `debug=true`.

    Only what is to be trained (`trains`), not what is only shown, needs all its values and other packages' imports.
    """

    def __init__(self, trains: bool = True):
        self.trains = trains
        self.causes: list[BaseException] = []

    def judge(self, composed: Composed, only: str | None = None) -> list[str]:
        """A line for each mistake; with `only`, of that entry of the top level."""
        self.config = config = composed.values
        lines = list(composed.mistakes)
        if only not in (*GROUPS, *NODES):
            lines += self._top(config, composed.referenced)
        for name in (*GROUPS, *NODES):
            if only in (None, name) and (name in config or name not in (*OPTIONAL, *NODES)):
                lines += self._group(name, config.get(name))
        return lines

    def _top(self, config: dict[str, Any], referenced: set[str]) -> list[str]:
        run = signature(RUN)
        lines = []
        for key, value in config.items():
            if key in run.parameters:
                lines += self._value(key, value, run) or (self._figure(value) if key == "figure" else [])
            elif key not in (*GROUPS, *NODES) and key not in referenced:
                lines.append(keys.unknown(key, {name: value for name, value in config.items() if name != key}))
        return lines

    def _figure(self, name: str | None) -> list[str]:
        """A line where what is to draw at the end cannot be found; another package's is imported to look for it."""
        if name is None or "${" in name or not (self.trains or is_ours(name)):
            return []
        try:
            signature(name)
        except TargetError as error:
            self.causes += [error.__cause__] if error.__cause__ else []
            return [f"figure={name}: {error}"]
        return []

    def _group(self, group: str, node: Any) -> list[str]:
        if group in OPTIONAL and isinstance(node, dict | None) and "_target_" not in (node or {}):
            return [line for name, child in (node or {}).items() for line in self._callback(f"{group}.{name}", child)]
        if not isinstance(node, dict) or "_target_" not in node:
            return [f"{group}: _target_ is missing, the class or function to build"]
        return self._target(group, node, shared(group, node))

    def _callback(self, key: str, node: Any) -> list[str]:
        if node is None:
            return []
        if isinstance(node, dict) and "_target_" in node:
            return self._target(key, node, {})
        others = self.config.get("callbacks") or {}
        known = [name for name, value in others.items() if isinstance(value, dict) and f"callbacks.{name}" != key]
        match = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
        hint = f"; did you mean callbacks.{match[0]}?" if match else ""
        return [f"{key}: _target_ is missing, the class to build{hint}"]

    def _target(self, key: str, node: dict[str, Any], shared: dict[str, Any]) -> list[str]:
        """The mistakes of a node; another package's target is imported only when nothing else is wrong with it."""
        lines = [line for path, child in _children(key, node) for line in self._target(path, child, {})]
        targets = {"_target_": node["_target_"], **shared}
        for name, target in targets.items():
            if not isinstance(target, str):
                return [*lines, f"{key}.{name}={show(target)}: must be the dotted name of a class or function"]
        if self.trains:
            lines += [f"{key}.{name}: needs a value" for name, value in node.items() if value == "???"]
        if not all(map(is_ours, targets.values())) and (lines or not self.trains):
            return lines
        signatures = []
        for name, target in targets.items():
            try:
                signatures.append(signature(target, GIVEN.get(key, ())))
            except TargetError as error:
                self.causes += [error.__cause__] if error.__cause__ else []
                return [*lines, f"{key}.{name}={target}: {error}"]
        return lines + self._options(key, node, reduce(or_, signatures))

    def _options(self, key: str, node: dict[str, Any], options: Signature) -> list[str]:
        given = {name: value for name, value in node.items() if not _is_hydras(name)}
        lines = []
        for name, value in given.items():
            if name in options.parameters:
                lines += self._value(f"{key}.{name}", value, options)
            elif not options.open:
                lines.append(self._unknown(key, name, node, options))
        for name, option in options.parameters.items():
            if option.keyword_only and not option.has_default and name not in given and "_args_" not in node:
                lines.append(f"{key}.{name}: is missing and has no default")
        return lines

    def _unknown(self, key: str, name: str, node: dict[str, Any], options: Signature) -> str:
        """As for a mistyped key, but the node has what the target takes, whether or not the file names it."""
        valid = {other: value for other, value in node.items() if other in options.parameters}
        valid |= {other: None for other in options.parameters if other not in valid}
        return keys.unknown(f"{key}.{name}", _replaced(self.config, key, valid)) + without_encoder(key, node)

    def _value(self, key: str, value: Any, options: Signature) -> list[str]:
        if isinstance(value, dict) and "_target_" in value:
            return []  # an object, judged by itself
        if isinstance(value, str) and (value == "???" or "${" in value):
            return []
        return value_mistakes(key, value, options.parameters[key.rsplit(".", 1)[-1]].annotation)


def shared(group: str, node: dict[str, Any]) -> dict[str, Any]:
    """What takes options from the node of a group beside its `_target_`, by the key that names it: the function that
    all choices share, which has none, and the encoder of data."""
    others = {"": SHARED[group]} if group in SHARED else {}
    return others | ({"encoder": node["encoder"]} if group == "data" and node.get("encoder") is not None else {})


def without_encoder(group: str, node: dict[str, Any]) -> str:
    """What to write in a file of one's own data that names no encoder and so has none of an encoder's options."""
    named = group != "data" or node.get("encoder") is not None
    return "" if named else "; `defaults: [_image, _self_]` in its file (or _table, _text, _audio) adds more"


def _is_hydras(name: str) -> bool:
    return name in ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")


def _children(key: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes with a `_target_` directly below, also in lists."""
    for name, value in node.items():
        items = enumerate(value) if isinstance(value, list) else ((None, value),)
        for i, item in items:
            if isinstance(item, dict) and "_target_" in item:
                yield f"{key}.{name}" if i is None else f"{key}.{name}.{i}", item


def _replaced(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The config with another value at a dotted key."""
    head, _, rest = key.partition(".")
    inner = config.get(head)
    return {**config, head: _replaced(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
