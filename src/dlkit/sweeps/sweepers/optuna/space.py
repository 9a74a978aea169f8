"""The search space: what may be drawn for an option, as Hydra's syntax of sweeps says it."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def distribution(override: Override) -> BaseDistribution:
    """What `key=interval(a,b)`, `tag(log,interval(a,b))`, `int(interval(a,b))`, `range(a,b,step)` or `a,b,c` says.

    An interval holds both its ends; a range leaves its end out, as in any sweep. Choices are texts, as typed. Raises
    ValueError for what no value can be drawn from.
    """
    text, given = str(override.input_line), override.value()
    tags = set(getattr(given, "tags", ()))
    if tags - ({"log"} if isinstance(given, IntervalSweep) else set()):
        raise ValueError(f"{text}: only an interval can be tagged, and with log alone: tag(log,interval(1,64))")
    if isinstance(given, IntervalSweep):
        return _interval(text, given.start, given.end, log="log" in tags)
    if isinstance(given, RangeSweep) and not given.shuffle:
        return _range(given)
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def _interval(text: str, low: Any, high: Any, *, log: bool) -> BaseDistribution:
    if not low < high:
        raise ValueError(f"{text}: the first end of an interval must be below the second")
    if log and low <= 0:
        raise ValueError(f"{text}: on a log scale both ends must be greater than 0")
    if not (isinstance(low, int) and isinstance(high, int)):
        return FloatDistribution(float(low), float(high), log=log)
    return IntDistribution(low, high, log=log)


def _range(given: RangeSweep) -> BaseDistribution:
    numbers = list(given.range())
    low, high, step = min(numbers), max(numbers), abs(given.step)
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), step=int(step))
    return FloatDistribution(float(low), float(high), step=float(step))


def as_option(value: Any, drawn_from: BaseDistribution) -> str:
    """A drawn value as it is typed; numbers to 6 digits, which a folder's name can hold."""
    if not isinstance(drawn_from, FloatDistribution):
        return str(value)
    short = f"{value:.6g}"
    return short if drawn_from.low <= float(short) <= drawn_from.high else repr(value)


def compatible(old: BaseDistribution, new: BaseDistribution) -> bool:
    """Whether a study that drew from the one can go on with the other: ends may change; kind, scale, choices not."""
    if isinstance(old, CategoricalDistribution) or isinstance(new, CategoricalDistribution):
        return old == new
    return type(old) is type(new) and getattr(old, "log", None) == getattr(new, "log", None)
