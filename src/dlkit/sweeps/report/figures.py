"""Figures of a sweep: groups over repeats, their differences to the best, and the effect of each option."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean, median

from dlkit.records import HEADLINES, HIGHER
from dlkit.sweeps.plan import SAMPLER
from dlkit.sweeps.report.read import Job, Sweep
from dlkit.sweeps.report.statistics import Comparison, Estimate, compare, corrected, estimate, mean_of_means

SPLITS = ("val", "test")


@dataclass(frozen=True)
class Group:
    """Jobs with equal options, apart by their repeats."""

    values: dict[str, str]  # the options; empty where only repeats were swept
    jobs: list[Job]
    val: Estimate
    test: Estimate
    failed: int
    pruned: int  # by a search: their figures do not count
    waiting: int  # waiting, or interrupted or killed, so that they would go on
    running: int
    seconds: float | None  # this and the next two: medians over the jobs that are done
    samples_per_second: float | None
    parameters: float | None
    comparison: Comparison | None = None  # None for the best, and where one of the two has no result

    @property
    def label(self) -> str:
        """`model=cnn, optim.lr=0.1`"""
        return ", ".join(f"{key}={value}" for key, value in self.values.items()) or "all jobs"


@dataclass(frozen=True)
class Level:
    """One value of an option, over all other options."""

    value: str
    groups: int  # averaged
    val: Estimate  # the mean of the groups' means; n counts jobs; no std
    test: Estimate
    tuned: Group | None  # of all groups with this value the best on val; None where no group has a figure there


@dataclass(frozen=True)
class Effect:
    """What an option does: the mean at each of its values."""

    key: str
    levels: list[Level]  # in the order of Sweep.swept
    complete: int  # combinations of the other options with a result for every value: only these are averaged
    combinations: int  # of the other options
    balanced: bool  # False: none is complete, so that all groups are averaged, each value over others than the next

    @property
    def is_mean(self) -> bool:
        """Whether a value was tried more than once: in a search over numbers each stands alone, as the groups say."""
        return self.balanced or any(level.groups > 1 for level in self.levels)


@dataclass(frozen=True)
class Report:
    """What is known of a sweep now."""

    sweep: Sweep
    metric: str  # "accuracy", of val/accuracy and test/accuracy
    higher: bool  # more is better
    chosen_on: str | None  # "val": the groups stand best first by it; None: there is none, they stand as they came
    compared_on: str  # the split of the comparisons: "test", else "val"
    groups: list[Group]  # those without a figure on val last
    effects: list[Effect]  # of every option with two values or more
    notes: list[str]  # what the reader has to know, one line each

    @property
    def best(self) -> Group | None:
        """The group chosen on the validation split."""
        return self.groups[0] if self.chosen_on else None


def report(sweep: Sweep, metric: str | None = None) -> Report:
    """All figures, of the headline (of a search: what it optimises) or of another metric. Raises ValueError where no
    job has that."""
    name = _metric(sweep, metric)
    higher = name in HIGHER
    groups = _groups(sweep, name)
    judged = [group for group in groups if group.val.mean is not None]
    chosen_on = "val" if judged else None
    compared_on = "val"
    if judged:
        judged.sort(key=lambda group: group.val.mean or 0.0, reverse=higher)
        groups = judged + [group for group in groups if group.val.mean is None]
        compared_on = "test" if groups[0].test.n else "val"
        groups = _compared(groups, f"{compared_on}/{name}", sweep.repeats)
    effects = [_effect(key, sweep, groups, name) for key in sweep.options if len(sweep.swept[key]) > 1]
    made = Report(sweep, name, higher, chosen_on, compared_on, groups, effects, [])
    return replace(made, notes=list(_notes(made)))


def _metric(sweep: Sweep, wanted: str | None) -> str:
    known = {key.partition("/")[2] for job in sweep.jobs for key in job.metrics if key.startswith(("val/", "test/"))}
    if wanted is None:
        watched = [str(job.best.get("metric")).partition("/")[2] for job in sweep.jobs if SAMPLER in sweep.fixed]
        return next((name for name in (*watched, *HEADLINES) if name in known), HEADLINES[-1])
    if wanted not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "no job has any metric yet"
        raise ValueError(f"--metric {wanted}: no job has val/{wanted} or test/{wanted}; {there}")
    return wanted


def results(jobs: Iterable[Job], key: str) -> list[float]:
    """The figure `split/name` of the jobs that are done and have it."""
    return [value for job in jobs if job.done and (value := job.metrics.get(key)) is not None]


def _groups(sweep: Sweep, metric: str) -> list[Group]:
    by_options: dict[tuple[str, ...], list[Job]] = {}
    for job in sweep.jobs:
        by_options.setdefault(tuple(job.overrides[key] for key in sweep.options), []).append(job)
    return [_group(dict(zip(sweep.options, values, strict=True)), jobs, metric) for values, jobs in by_options.items()]


def _group(values: dict[str, str], jobs: list[Job], metric: str) -> Group:
    done = [job for job in jobs if job.done]
    running = sum(job.status == "running" for job in jobs)
    return Group(
        values=values,
        jobs=jobs,
        val=estimate(results(jobs, f"val/{metric}")),
        test=estimate(results(jobs, f"test/{metric}")),
        failed=sum(job.failed for job in jobs),
        pruned=sum(job.status == "pruned" for job in jobs),
        waiting=sum(job.to_come for job in jobs) - running,
        running=running,
        seconds=_median(job.seconds for job in done),
        samples_per_second=_median(job.samples_per_second for job in done),
        parameters=_median(job.parameters for job in done),
    )


def _median(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return median(given) if given else None


def _compared(groups: list[Group], key: str, repeats: list[str]) -> list[Group]:
    """The groups with their comparisons to the first."""
    values = [_by_repeat(group.jobs, key, repeats) for group in groups]
    comparisons = corrected(compare(one, values[0]) for one in values[1:])
    pairs = zip(groups[1:], comparisons, strict=True)
    return [groups[0], *(replace(group, comparison=comparison) for group, comparison in pairs)]


def _by_repeat(jobs: Iterable[Job], key: str, repeats: list[str]) -> dict[tuple[str, ...], float]:
    """The figure of each seed and fold; the mean of jobs that differ in nothing."""
    found: dict[tuple[str, ...], list[float]] = {}
    for job in jobs:
        found.setdefault(tuple(job.overrides[name] for name in repeats), []).extend(results([job], key))
    return {repeat: fmean(values) for repeat, values in found.items() if values}


def _effect(key: str, sweep: Sweep, groups: list[Group], metric: str) -> Effect:
    """The mean at every value over the same combinations of the other options, where there are such."""
    others = [option for option in sweep.options if option != key]
    table: dict[tuple[str, ...], dict[str, Group]] = {}
    for group in groups:
        table.setdefault(tuple(group.values[option] for option in others), {})[group.values[key]] = group
    has = {id(group) for group in groups if group.val.n or group.test.n}
    given = {value for row in table.values() for value, group in row.items() if id(group) in has}
    complete = [row for row in table.values() if given and all(id(row.get(value)) in has for value in given)]
    levels = []
    for value in sweep.swept[key]:
        averaged = [row[value] for row in complete or table.values() if value in row and id(row[value]) in has]
        val, test = (mean_of_means([results(one.jobs, f"{split}/{metric}") for one in averaged]) for split in SPLITS)
        tuned = next((one for one in groups if one.values[key] == value and one.val.n), None)  # they stand best first
        levels.append(Level(value, len(averaged), val, test, tuned))
    return Effect(key, levels, len(complete), len(table), balanced=bool(complete))


def _notes(report: Report) -> Iterable[str]:
    """What limits the figures."""
    jobs = report.sweep.jobs
    done = [job for job in jobs if job.done]
    if len(done) < len(jobs):
        yield f"{len(done)} of {len(jobs)} jobs are done, and all figures are of those"
    if done and not report.chosen_on:
        yield f"no job has val/{report.metric}: nothing to choose the best on; the groups stand as they were given"
    if report.best and report.compared_on == "val":
        yield "no test split: the best is compared on the split it was chosen on, which flatters it"
    for split in SPLITS:
        missing = sum(job.metrics.get(f"{split}/{report.metric}") is None for job in done)
        if 0 < missing < len(done):
            yield f"{missing} of the jobs that are done have no finite {split}/{report.metric}"
    if report.best and report.best.failed:
        yield f"of the best group, {report.best.failed} of {len(report.best.jobs)} failed: its mean is of the others"
    if equal := len(jobs) - len({tuple(job.overrides.items()) for job in jobs}):
        yield f"{equal} jobs have the options, seed and fold of another: they count, but are no new evidence"
    weights = Counter(job.weights for job in done if job.weights)
    if set(weights) - {"last"}:
        yield f"figures are of the weights {', '.join(f'{name} ({count} jobs)' for name, count in weights.items())}"
    if "data.fold" in report.sweep.repeats:
        yield "folds share training examples, so intervals are too narrow and p too small (Nadeau and Bengio 2003)"
    if "data" in report.sweep.options:
        yield "figures of different data are ranked in one table; compare within one data set"
