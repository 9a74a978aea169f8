"""Curves of a run drawn with characters, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from dlkit.records import parsed

BLOCKS = "▁▂▃▄▅▆▇█"
MISSING = "×"  # a stretch without one finite value


def read(path: Path) -> dict[str, list[float]]:
    """Every figure of metrics.jsonl in the order of its steps; NaN where it was not finite."""
    curves: dict[str, list[float]] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                for key, value in parsed(line).items():
                    curves.setdefault(key, []).append(_number(value))
    except OSError:
        return {}
    return curves


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and isfinite(value) else float("nan")


def sparkline(values: list[float], width: int) -> str:
    """The curve in at most `width` characters, each the mean of the finite values of its stretch.

    The lowest mean is drawn ▁, the highest █, equal ones ▄.
    """
    count = min(width, len(values))
    edges = [i * len(values) // count for i in range(count + 1)] if count else [0]
    means = [_mean(values[start:end]) for start, end in pairwise(edges)]
    low, high = min(_finite(means), default=0.0), max(_finite(means), default=0.0)
    return "".join(_block(mean, low, high) for mean in means)


def _block(mean: float, low: float, high: float) -> str:
    if not isfinite(mean):
        return MISSING
    return BLOCKS[3] if high == low else BLOCKS[round((mean - low) / (high - low) * (len(BLOCKS) - 1))]


def _mean(values: list[float]) -> float:
    finite = _finite(values)
    return fmean(finite) if finite else float("nan")


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if isfinite(value)]


def described(values: list[float]) -> str:
    """First and last value, the least and the most, and how many were not finite."""
    finite = _finite(values)
    strange = f", {len(values) - len(finite)} of {len(values)} not finite" if len(finite) < len(values) else ""
    if not finite:
        return strange.removeprefix(", ")
    if len(values) == 1:
        return f"{finite[0]:.4g}, one value"
    return f"{values[0]:.4g} → {values[-1]:.4g}, least {min(finite):.4g}, most {max(finite):.4g}{strange}"
