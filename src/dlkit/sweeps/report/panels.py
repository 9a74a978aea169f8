"""What the pictures of a report show: which groups, options and values, and the numbers in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite, nan
from typing import Any

import numpy as np

from dlkit.sweeps.report import pictures, read
from dlkit.sweeps.report.curves import averaged, finite
from dlkit.sweeps.report.figures import Effect, Group, Level, Report
from dlkit.sweeps.report.pictures import Shades
from dlkit.sweeps.report.statistics import Estimate

LINES = 8  # groups with curves
PANELS = 12  # heat maps
VALUES = 40  # of an option in a picture; heat maps of more would be all but empty


@dataclass(frozen=True)
class Curves:
    """The pictures, and the groups that are drawn, best first."""

    pictures: list[str]
    groups: list[Group]


@dataclass(frozen=True)
class HeatMaps:
    """The pictures with their one scale, each with so many `columns`; `left_out` counts combinations of the other
    options that are not drawn."""

    pictures: list[str]
    shades: Shades
    columns: int
    left_out: int


def split(report: Report) -> str:
    """The split that the pictures show: the one that settings are chosen on, where it has figures."""
    return report.chosen_on or ("test" if any(group.test.n for group in report.groups) else "val")


def estimate(of: Group | Level, on: str) -> Estimate:
    """The figures on a split."""
    return of.test if on == "test" else of.val


def effects(report: Report) -> list[str]:
    """For each option the marginal mean of each value with its interval; pale what is averaged: groups, or, of a single
    option, jobs. The axis of the metric is the same in all."""
    on = split(report)
    shown = [(effect, _levels(effect, on, higher=report.higher)) for effect in report.effects]
    behind = {effect.key: [_behind(report, effect.key, level.value, on) for level in of] for effect, of in shown}
    points = [x for some in behind.values() for found in some for x in found]
    limits = _limits([level for _, of in shown for level in of], points, on)
    return [
        pictures.dots(
            effect.key + (f" (the {VALUES} best)" if len(of) == VALUES < len(effect.levels) else ""),
            [level.value or "–" for level in of],
            [_mean(estimate(level, on)) for level in of],
            [nan if (margin := estimate(level, on).margin) is None else margin for level in of],
            behind[effect.key],
            label=f"{on} {report.metric}",
            limits=limits,
        )
        for effect, of in shown
        if of
    ]


def curves(report: Report) -> Curves:
    """The metric on validation data and the loss of training over time: mean and standard deviation over repeats.

    Drawn are the best group and others, evenly over the ranks to the worst; jobs that failed are left out.
    """
    on = split(report)
    drawn = _spread(
        [group for group in report.groups if any(job.done or job.status == "running" for job in group.jobs)]
    )
    rows = [[read.curves(job) for job in group.jobs if job.done or job.status == "running"] for group in drawn]
    epochs = [row["epoch"] for jobs in rows for job in jobs for row in job[-1:] if finite(row.get("epoch"))]
    across = "epoch" if max(epochs, default=0) >= 1 else "step"
    made = []
    for key in dict.fromkeys((f"{on}/{report.metric}", "train/loss")):
        lines = [averaged(jobs, key, across) for jobs in rows]
        if any(len(line.x) > 1 for line in lines):
            made.append(pictures.bands(lines, across=across, label=key.replace("/", " ")))
    return Curves(made, drawn)


def heat_maps(report: Report) -> HeatMaps | None:
    """Means of the groups by the two most influential options (the widest range of marginal means), one map for each
    combination of the others; of many those with the best groups. None where fewer than two options have values, or
    where values were drawn, so that most cells would be empty."""
    on = split(report)
    values = {key: _in_order(found) for key, found in report.sweep.swept.items() if key in report.sweep.options}
    values = {key: found for key, found in values.items() if len(found) > 1}
    means = [mean for group in report.groups if (mean := estimate(group, on).mean) is not None]
    if len(values) < 2 or not means or max(map(len, values.values())) > VALUES or _scattered(report, values):
        return None
    ranges = {effect.key: _range(effect, on) for effect in report.effects}
    axes = sorted(values, key=lambda key: -ranges.get(key, 0.0))[:2]
    down, along = sorted(axes, key=lambda key: len(values[key]))
    others = [key for key in values if key not in axes]
    ranked = dict.fromkeys(tuple(group.values[key] for key in others) for group in report.groups)
    drawn = list(ranked)[:PANELS]
    shades = _shades(means, higher=report.higher)
    made = []
    for fixed in (one for one in product(*(values[key] for key in others)) if one in drawn):
        inside = [group for group in report.groups if tuple(group.values[key] for key in others) == fixed]
        best = report.best.values if report.best in inside and report.best else {}
        made.append(
            pictures.cells(
                {(group.values[down], group.values[along]): _cell(group, on) for group in inside},
                rows=(down, values[down]),
                columns=(along, values[along]),
                shades=shades,
                title=", ".join(f"{key}={value}" for key, value in zip(others, fixed, strict=True)),
                marked=(best[down], best[along]) if best else None,
            )
        )
    return HeatMaps(made, shades, len(values[along]), len(ranked) - len(drawn))


def _scattered(report: Report, keys: Iterable[str]) -> bool:
    """Whether of some option no value was tried twice, as when a search draws numbers."""
    return any(max(Counter(group.values[key] for group in report.groups).values()) == 1 for key in keys)


def _cell(group: Group, on: str) -> float | str:
    mean = estimate(group, on).mean
    if mean is not None and isfinite(mean):
        return float(mean)
    return "failed" if group.failed else "running" if group.running else "waiting" if group.waiting else "–"


def _spread(groups: Sequence[Group]) -> list[Group]:
    """`LINES` of them at most, the first, the last, and evenly between."""
    if len(groups) <= LINES:
        return list(groups)
    return [groups[round(i * (len(groups) - 1) / (LINES - 1))] for i in range(LINES)]


def _levels(effect: Effect, on: str, *, higher: bool) -> list[Level]:
    """Those that have figures; of too many names, which would not fit, the best."""
    found = [level for level in effect.levels if isfinite(_mean(estimate(level, on)))]
    if len(found) <= VALUES or pictures.numbers([level.value for level in found]) is not None:
        return found
    best = sorted(found, key=lambda level: _mean(estimate(level, on)), reverse=higher)[:VALUES]
    return [level for level in found if level in best]


def _behind(report: Report, key: str, value: str, on: str) -> list[float]:
    groups = [group for group in report.groups if group.values[key] == value]
    if len(report.effects) > 1:
        found: Iterable[Any] = (estimate(group, on).mean for group in groups)
    else:
        found = (job.metrics.get(f"{on}/{report.metric}") for group in groups for job in group.jobs if job.done)
    return [float(x) for x in found if finite(x)]


def _limits(levels: Iterable[Level], points: Sequence[float], on: str) -> tuple[float, float]:
    """Of the axis of all effects: all means, points that are no outliers, and intervals as far as they leave room."""
    found = [estimate(level, on) for level in levels]
    means = [_mean(one) for one in found]
    low, high = _fences(points) if points else (nan, nan)
    inside = [*means, *(x for x in points if low <= x <= high)] or [0.0]
    least, most = min(inside), max(inside)
    room = 0.5 * (most - least) or 0.05 * abs(most) or 1.0
    ends = [(mean - (one.margin or 0.0), mean + (one.margin or 0.0)) for mean, one in zip(means, found, strict=True)]
    low = max(min([least, *(end[0] for end in ends)]), least - room)
    high = min(max([most, *(end[1] for end in ends)]), most + room)
    margin = 0.05 * (high - low) or room  # all values may be equal
    return low - margin, high + margin


def _shades(means: Sequence[float], *, higher: bool) -> Shades:
    """Colours from the best to the worst that is no outlier, so that one bad setting does not make all others alike."""
    low, high = _fences(means)
    inside = [x for x in means if (x >= low if higher else x <= high)]
    return Shades(min(inside), max(means)) if higher else Shades(max(inside), min(means))


def _fences(values: Sequence[float]) -> tuple[float, float]:
    """Tukey's: 1.5 times the distance of the quartiles beyond them."""
    first, third = np.quantile(values, [0.25, 0.75])
    return float(first - 1.5 * (third - first)), float(third + 1.5 * (third - first))


def _range(effect: Effect, on: str) -> float:
    means = [mean for level in effect.levels if isfinite(mean := _mean(estimate(level, on)))]
    return max(means) - min(means) if means else 0.0


def _in_order(values: Sequence[str]) -> list[str]:
    """Numbers by size, else as they were given."""
    found = pictures.numbers(values)
    return list(values) if found is None else [value for _, value in sorted(zip(found, values, strict=True))]


def _mean(one: Estimate) -> float:
    return nan if one.mean is None else one.mean
