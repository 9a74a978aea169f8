"""Learning curves over repeats: their mean and standard deviation at each place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlkit.sweeps.report.pictures import Line

POINTS = 200  # of a curve
Rows = list[dict[str, Any]]  # of metrics.jsonl


def averaged(jobs: Iterable[Rows], key: str, across: str) -> Line:
    """Mean and standard deviation (ddof 1) over jobs, between whose points lines are drawn; past its end a job no
    longer counts. At all places where a job has a point, or at `POINTS` ones where these are more."""
    series = [
        _thinned([(row[across], row[key]) for row in job if finite(row.get(key)) and finite(row.get(across))])
        for job in jobs
    ]
    series = [one for one in series if one.size]
    if not series:
        return Line([], [], [])
    places = np.unique(np.concatenate([one[:, 0] for one in series]))
    if len(places) > POINTS:
        places = np.linspace(places[0], places[-1], POINTS)
    values = np.array([np.interp(places, one[:, 0], one[:, 1], left=nan, right=nan) for one in series])
    here = ~np.isnan(values)
    count = here.sum(0)
    places, values, here, count = places[count > 0], values[:, count > 0], here[:, count > 0], count[count > 0]
    mean = np.where(here, values, 0).sum(0) / count
    square = (np.where(here, values - mean, 0) ** 2).sum(0)
    std = np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), nan)
    return Line(places.tolist(), mean.tolist(), std.tolist())


def _thinned(points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The points (n, 2); of too many the means of `POINTS` stretches."""
    found = np.array(points, dtype=np.float64).reshape(-1, 2)
    if len(found) <= POINTS:
        return found
    return np.array([part.mean(0) for part in np.array_split(found, POINTS)])


def finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
