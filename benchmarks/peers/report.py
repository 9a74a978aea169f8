"""Figures of the sections, what they should be, and the page made of them.

A section is a dict: `title`, `text`, `head` and `rows` of a table, `tables` (more of them: dicts of `title`, `text`,
`head`, `rows`) and `goals`, each `[name, measured, bound, "<=" or ">="]`, measured None where it could not be.
"""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parents[2] / "docs" / "performance.json"
PACKAGES = ("torch", "torchvision", "numpy", "lightning", "keras", "skorch", "fastai")
MISSING = "–"
INTRODUCTION = """# Performance

Made by `python -m benchmarks.peers`; nothing here is written by hand. Every table was measured in one go: contestants
take turns, in an order that changes from round to round, each in a process of its own while the others wait; a figure
is the median of the rounds, with the quartiles in brackets. Compare within a table only: what a machine gives
changes from hour to hour.
"""


def median(values: Sequence[float]) -> float | None:
    """Of the values; None where there are none."""
    return statistics.median(values) if values else None


def ratio(of: Sequence[float] | None, to: Sequence[float] | None) -> float | None:
    """Median of the one over median of the other; None where either was not measured."""
    return median(of) / median(to) if of and to else None


def line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """a and b of `y ≈ a + b x`, a at least 0, by least squares of the relative errors `(a + b x − y) / y`."""
    weights = [1 / y**2 for y in ys]
    total = sum(weights)
    x_mean, y_mean = (sum(w * v for w, v in zip(weights, values, strict=True)) / total for values in (xs, ys))
    over = sum(w * (x - x_mean) * (y - y_mean) for w, x, y in zip(weights, xs, ys, strict=True))
    slope = over / sum(w * (x - x_mean) ** 2 for w, x in zip(weights, xs, strict=True))
    return max(0.0, y_mean - slope * x_mean), slope


def shown(value: float | None) -> str:
    """A figure with three digits or more, thousands apart."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float] | None) -> str:
    """Median and quartiles: `183 (180–190)`."""
    if not values:
        return MISSING
    if len(values) == 1:
        return shown(values[0])
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{shown(median(values))} ({shown(low)}–{shown(high)})"


def holds(goal: Sequence[Any]) -> bool:
    """Whether `[name, measured, bound, "<=" or ">="]` is reached; not where it was not measured."""
    _, measured, bound, sign = goal
    if sign not in ("<=", ">="):
        raise ValueError(f"a goal's sign is {sign}: <= or >= are known")
    return measured is not None and (measured <= bound if sign == "<=" else measured >= bound)


def missed(figures: dict[str, Any]) -> list[str]:
    """A line for each goal that is not reached."""
    return [told(goal) for section in figures.values() for goal in section.get("goals", []) if not holds(goal)]


def told(goal: Sequence[Any]) -> str:
    name, measured, bound, sign = goal
    measured = "not measured" if measured is None else f"{measured:.3g}"
    return f"{name}: {measured}, to be {'≤' if sign == '<=' else '≥'} {bound:g}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """In Markdown; floats as `shown` has them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(shown(c) if isinstance(c, float) else str(c) for c in line)} |" for line in lines)


def markdown(section: dict[str, Any]) -> str:
    """One section of the page."""
    parts = [f"## {section['title']}"]
    for part in (section, *section.get("tables", [])):
        parts += [f"### {part['title']}"] if part is not section else []
        parts += [table(part["head"], part["rows"])] if part.get("rows") else []
        parts += [part["text"]] if part.get("text") else []
    if section.get("goals"):
        parts.append("\n".join(f"- {'✓' if holds(goal) else '✗'} {told(goal)}" for goal in section["goals"]))
    if section.get("made"):
        parts.append(f"*{section['made']}*")
    return "\n\n".join(parts)


def page(figures: dict[str, Any], order: Sequence[str]) -> str:
    """The whole page, sections in this order."""
    goals = [goal for section in figures.values() for goal in section.get("goals", [])]
    reached = sum(map(holds, goals))
    told_all = f"Goals reached: {reached} of {len(goals)}."
    return (
        "\n\n".join([INTRODUCTION + "\n" + told_all, *(markdown(figures[name]) for name in order if name in figures)])
        + "\n"
    )


def merge(new: dict[str, Any], path: Path, order: Sequence[str]) -> dict[str, Any]:
    """Puts the sections among those in the file, and writes it and the page beside it; returns all of them."""
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    figures |= new
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(figures, order), encoding="utf-8")
    return figures


def setting() -> str:
    """Machine and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = f"{len(names)} × {names[0]}" if names else cpu
    versions = ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    return f"{cpu}; Python {platform.python_version()}, {versions}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
