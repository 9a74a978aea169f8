"""Overrides as Hydra's grammar reads them, one by one, and the values that a sweep gives a key."""

from __future__ import annotations

import re
from dataclasses import replace
from math import ceil
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, ValueType
from hydra.errors import HydraException

from dlkit.cli.preflight.values import show
from dlkit.cli.preflight.words import did_you_mean

LISTED = 100_000  # numbers of a range; a longer one, such as range(1e9), would fill the memory
KEY = re.compile(r"(\+\+?|~)?[A-Za-z_][\w-]*([./@:][\w-]+)*", flags=re.ASCII)
SWEEPING = "choice, range, interval and glob for sweeps"  # functions of the grammar
UNKNOWN = r"[^\x00-\x7f]|[~#&!;<>^`]"  # what the grammar takes in quotes alone
PART = re.compile(r"[^\[\]{}(),\s](?:[^\[\]{}(),]*[^\[\]{}(),\s])?")  # a value, or one of a list's or a sweep's


def quoted(text: str) -> str:
    """An override as the grammar takes it: `data.root=~/Übung` gets quotes; what they do not mend is left as it is."""
    key, equals, value = text.partition("=")
    if not re.search(UNKNOWN, value) or re.search(r"['\"]|\$\{", value):
        return text
    mended = key + equals + PART.sub(lambda part: f"'{part[0]}'" if re.search(UNKNOWN, part[0]) else part[0], value)
    try:
        OverridesParser.create().parse_override(mended)
    except HydraException:
        return text
    return mended


def parse(texts: list[str], loader: ConfigLoader) -> tuple[list[Override], list[str]]:
    """What is understood, and a line for each text that is not."""
    parser = OverridesParser.create()
    understood: list[Override] = []
    mistakes: list[str] = []
    for text in texts:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            mistakes.append(f"{text}: {_why(text, error)}")
            continue
        override.config_loader = loader  # glob(*) asks it for the choices
        if not override.key_or_group:
            mistakes.append(f"{text}: the key before = is missing")
        elif not values(override):
            mistakes.append(f"{text}: this sweep has no values")
        else:
            understood.append(override)
    return understood, mistakes


def _why(text: str, error: HydraException) -> str:
    """What a student can do about a text that the grammar refuses."""
    key, equals, value = text.partition("=")
    for left, right in ("[]", "{}", "()"):
        if value.count(left) != value.count(right):
            return f"{left} and {right} do not match"
    if value.endswith(","):
        return "values are parted by a comma without a space"
    if value.count("'") % 2 or value.count('"') % 2:
        return "a quotation mark is missing"
    if not equals:
        return "options are written key=value"
    if not KEY.fullmatch(key):
        return "this is no key; keys are names joined by dots, as in optim.lr"
    if "Unknown function" in str(error):
        name, known = re.findall(r"Unknown function '(.*?)'\s*Available: *(\S+)", str(error))[0]
        hint = did_you_mean(name, known.split(","))
        return f"there is no function {name}{hint or f' (but {SWEEPING}); {_twice(key, value)}'}"
    return f"the value is not understood; {_twice(key, value)}"


def _twice(key: str, value: str) -> str:
    return f"text with signs in it is quoted twice: \"{key}='{value}'\""


def values(override: Override) -> list[Any]:
    """Each value of a sweep (of a range: the ends, between which every option is judged alike), or the only value."""
    given = override._value
    if isinstance(given, IntervalSweep):
        return [given.start, given.end]
    if not override.is_sweep_override():
        return [override.value()]
    if isinstance(given, RangeSweep):
        return _ends(given)
    return [Override._convert_value(value) for value in override.sweep_iterator()]


def _ends(given: RangeSweep) -> list[Any]:
    """The first and the last number of a range; none where its step leads nowhere."""
    if not given.step:
        return []
    numbers = given.range()
    if not isinstance(numbers, range) and _length(given) > LISTED:
        return [given.start, given.stop]
    ends = numbers if isinstance(numbers, range) else list(numbers)
    return [ends[0], ends[-1]][: len(ends)] if ends else []


def singles(override: Override) -> list[Override]:
    """The override with each value of its sweep, written as Hydra's sweepers do; with the ends of an interval."""
    if not override.is_sweep_override():
        return [override]
    key, given = override.get_key_element(), override._value
    if isinstance(given, IntervalSweep):
        pairs = {show(value): value for value in values(override)}
    else:
        pairs = dict(zip(override.sweep_string_iterator(), override.sweep_iterator(), strict=True))
    return [
        replace(override, value_type=ValueType.ELEMENT, _value=value, input_line=f"{key}={text}")
        for text, value in pairs.items()
    ]


def _length(given: RangeSweep) -> int:
    return ceil(abs((given.stop - given.start) / given.step))  # type: ignore[operator]


def count(override: Override) -> int:
    """How many values a sweep has, at most."""
    given = override._value
    if isinstance(given, RangeSweep):
        return _length(given)
    return len(values(override))
