"""Which runs to list, and in what order: filters such as `model=cnn` and `test/accuracy>0.9`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dlkit.cli.preflight.words import did_you_mean
from dlkit.settings import as_text

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FORM = re.compile(r"([^=<>!]+)(!=|<=|>=|=|<|>)(.*)")


@dataclass(frozen=True)
class Filter:
    """One word, `KEY=VALUE` or with another sign."""

    word: str
    key: str
    sign: str
    wanted: str

    @classmethod
    def of(cls, word: str) -> Filter:
        """Raises ValueError where a number is needed and none came."""
        match = FORM.fullmatch(word)
        if not match:
            raise ValueError(f"{word}: no filter; it is written KEY=VALUE, as in model=cnn")
        key, sign, wanted = (part.strip() for part in match.groups())
        if sign in COMPARISONS and number(wanted) is None:
            raise ValueError(f"{word}: {sign} compares numbers, but {wanted or 'nothing'} is none")
        return cls(word, key, sign, wanted)

    def fits(self, value: Any) -> bool:
        """Whether a run's value is as wanted: one of several (tags), an equal number, or a text that fits a pattern."""
        if self.sign in COMPARISONS:
            given = number(value)
            return given is not None and COMPARISONS[self.sign](given, float(self.wanted))
        values = [value, *value] if isinstance(value, list) else [value]
        return any(self._equal(one) for one in values) is (self.sign == "=")

    def _equal(self, value: Any) -> bool:
        given = number(value)
        if given is not None and given == number(self.wanted):
            return True
        text = as_text(value)
        return text == self.wanted or fnmatchcase(text, self.wanted)


def is_filter(word: str) -> bool:
    """Whether a word is a filter and no folder, whose name may have a `=`, too."""
    return bool(re.search("[=<>]", word)) and not Path(word).expanduser().is_dir()


def number(value: Any) -> float | None:
    """The number that a value is or says; None for true and false."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def check_keys(keys: Iterable[str], where: str, known: Collection[str]) -> None:
    """Raises ValueError for a key that no run has, with those it may stand for."""
    for key in keys:
        if key not in known:
            longer = sorted(one for one in known if one.endswith((f".{key}", f"/{key}")))
            hint = f"; did you mean {', '.join(longer[:4])}?" if longer else did_you_mean(key, sorted(known))
            raise ValueError(f"{where} {key}: no run has this{hint or '; dlkit list --help says what there is'}")


def ordered(rows: list[dict[str, Any]], key: str, reverse: bool) -> list[dict[str, Any]]:
    """Smallest first: numbers, then texts; those without a value last, reversed or not."""
    given = [row for row in rows if row.get(key) is not None]
    missing = [row for row in rows if row.get(key) is None]
    return [*sorted(given, key=lambda row: _rank(row[key]), reverse=reverse), *missing]


def _rank(value: Any) -> tuple[bool, float, str]:
    given = number(value)
    return (given is None, given or 0.0, as_text(value))
