"""Words on the command line that are no `key=value`, and what was probably meant by them."""

from __future__ import annotations

import re
from typing import Any

from dlkit.cli.preflight import keys
from dlkit.cli.preflight.groups import Groups
from dlkit.cli.preflight.line import Word
from dlkit.cli.preflight.values import show


def judge_loose(runs: list[list[Word]], config: dict[str, Any], groups: Groups) -> list[str]:
    """A line for each word, or for each pair such as `data mnist`, with the override to write instead."""
    lines = []
    for run in runs:
        words = list(run)
        while words:
            word = words.pop(0)
            typed, value = word.typed, None
            if words and _are_a_pair(word.text, words[0].text, config, groups):
                second = words.pop(0)
                typed, value = f"{typed} {second.typed}".strip(), second.text
            lines.append(f"{typed}: options are written key=value{_advice(word.text, value, config, groups)}")
    return lines


def _are_a_pair(key: str, value: str, config: dict[str, Any], groups: Groups) -> bool:
    """Whether the second word is the value of the first; `mnist cnn` are two choices."""
    if key in groups.names or keys.exists(key, config):
        return True
    is_choice = any(value in groups.choices(group) for group in groups.names)
    return not (is_choice or value in groups.names or keys.exists(value, config))


def _advice(key: str, value: str | None, config: dict[str, Any], groups: Groups) -> str:
    if value is None and (parts := re.fullmatch(r"([\w.]+)[:/](.+)", key)):
        key, value = parts.groups()
    if value is None and (choice := groups.holding(key)):
        return f"; did you mean {choice}?"
    known = key in groups.names or keys.exists(key, config)
    name = key if known else groups.like(key, value) or keys.nearest(key, config)
    if name is None:
        return ""
    if value is None and name in groups.names:
        return f"; write {name}=CHOICE with one of {', '.join(groups.choices(name))}"
    if value is None:
        found = keys.lookup(name, config)
        assert found is not None
        return f"; did you mean {name}=VALUE, as in {name}={show(found[0])}?" if not isinstance(found[0], dict) else ""
    return f"; did you mean {name}={value}?"
