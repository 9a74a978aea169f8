"""Means over repeats with their intervals, and tests of differences between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from statistics import fmean, stdev, variance

from scipy import special, stats

LEVEL = 0.95  # of the intervals
ALPHA = 0.05  # below it a corrected p counts as a difference
EQUAL = "the same result as the best in every repeat"
NOISE = 1e-12  # a spread of this part of the values is rounding


@dataclass(frozen=True)
class Estimate:
    """A mean over n results. `std` (ddof 1) and `margin` are None where n = 1, and the mean, too, where n = 0."""

    n: int
    mean: float | None = None
    std: float | None = None
    margin: float | None = None  # half the width of the 95 % interval of the mean (Student's t)

    @property
    def low(self) -> float | None:
        return None if self.mean is None or self.margin is None else self.mean - self.margin

    @property
    def high(self) -> float | None:
        return None if self.mean is None or self.margin is None else self.mean + self.margin


@dataclass(frozen=True)
class Comparison:
    """Of a group with the best one."""

    test: str  # "paired" or "Welch"; "" where there can be none
    n: int  # pairs, or results of both groups
    difference: float  # mean of the group less that of the best; over the pairs, where paired
    p: float | None = None  # two-sided
    adjusted: float | None = None  # p by Holm's correction, over all comparisons of the report
    why: str = ""  # there is no p

    @property
    def equal(self) -> bool:
        """Whether the results are those of the best, so that there is nothing to test."""
        return self.why == EQUAL

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 5 %."""
        return self.adjusted is not None and self.adjusted < ALPHA


def estimate(values: Sequence[float]) -> Estimate:
    """`x̄`, `s` and `t(0.975, n − 1) s / √n`."""
    n = len(values)
    if n < 2:
        return Estimate(n, *values)
    std = stdev(values)
    return Estimate(n, fmean(values), std, _quantile(n - 1) * std / sqrt(n))


def mean_of_means(groups: Sequence[Sequence[float]]) -> Estimate:
    """The mean of the groups' means, each with the same weight; n counts all results, and there is no std.

    The groups are fixed, their results random: `SE² = Σ s_g² / n_g / G²`, with Welch's and Satterthwaite's degrees of
    freedom, so the interval is without the differences between groups. There is none where a group has one result.
    """
    groups = [values for values in groups if values]
    n = sum(map(len, groups))
    if not groups:
        return Estimate(0)
    mean = fmean(map(fmean, groups))
    if min(map(len, groups)) < 2:
        return Estimate(n, mean)
    parts = [variance(values) / len(values) / len(groups) ** 2 for values in groups]
    squares = sum(part**2 / (len(values) - 1) for part, values in zip(parts, groups, strict=True))
    margin = _quantile(sum(parts) ** 2 / squares) * sqrt(sum(parts)) if squares else 0.0
    return Estimate(n, mean, None, margin)


def _quantile(freedom: float) -> float:
    return float(special.stdtrit(freedom, (1 + LEVEL) / 2))


def compare(group: Mapping[tuple[str, ...], float], best: Mapping[tuple[str, ...], float]) -> Comparison | None:
    """The t-test of a group against the best, both by repeat (seed, fold): paired over the repeats that both have,
    Welch's where these are fewer than two. None where one has no result; the p is not corrected yet.
    """
    if not group or not best:
        return None
    shared = [repeat for repeat in group if repeat in best]
    if len(shared) >= 2:
        ours, theirs = [group[repeat] for repeat in shared], [best[repeat] for repeat in shared]
        return _paired(ours, theirs)
    return _welch(list(group.values()), list(best.values()))


def _paired(ours: list[float], theirs: list[float]) -> Comparison:
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    comparison = Comparison("paired", len(differences), fmean(differences))
    if _constant(differences, (*ours, *theirs)):
        equal = _constant([*differences, 0.0], (*ours, *theirs))
        return replace(comparison, test="", why=EQUAL if equal else "the same difference in every repeat")
    return replace(comparison, p=_finite(stats.ttest_rel(ours, theirs).pvalue))


def _welch(ours: list[float], theirs: list[float]) -> Comparison:
    comparison = Comparison("Welch", len(ours) + len(theirs), fmean(ours) - fmean(theirs))
    if min(len(ours), len(theirs)) < 2:
        return replace(comparison, test="", why="needs two results of each")
    if _constant(ours, ours) and _constant(theirs, theirs):
        return replace(comparison, test="", why="no spread in either")
    return replace(comparison, p=_finite(stats.ttest_ind(ours, theirs, equal_var=False).pvalue))


def _constant(values: Sequence[float], scale: Sequence[float]) -> bool:
    return max(values) - min(values) <= NOISE * max(map(abs, scale))


def _finite(p: float) -> float | None:
    return float(p) if isfinite(p) else None


def corrected(comparisons: Iterable[Comparison | None]) -> list[Comparison | None]:
    """With p corrected for their number by Holm (1979): `max over j ≤ i of min(1, (m − j + 1) p_(j))`."""
    given = list(comparisons)
    tested = sorted((one.p, i) for i, one in enumerate(given) if one and one.p is not None)
    highest = 0.0
    for rank, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        one = given[i]
        given[i] = replace(one, adjusted=highest) if one else None
    return given
