"""What a report says in words and numbers, at the terminal and on its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isclose

from dlkit.sweeps.report.figures import Effect, Group, Report
from dlkit.sweeps.report.statistics import LEVEL, Comparison, Estimate

PERCENT = f"{LEVEL:.0%}".replace("%", " %")  # of the intervals


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`"""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def statuses(report: Report) -> str:
    """`24 jobs: 20 finished, 2 failed, 2 waiting`"""
    counts = Counter(job.status for job in report.sweep.jobs)
    said = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{counted(len(report.sweep.jobs), 'job')}: {said}"


def answer(report: Report) -> list[str]:
    """The best group with its figure, and how many of the others are told apart from it: a sentence each."""
    best = report.best
    if best is None:
        return [f"No best yet: no job that is done has a figure val/{report.metric}."]
    on, metric = report.compared_on, report.metric
    reported = shown_estimate(best, report)
    between = f", {PERCENT} interval {interval(reported)}" if interval(reported) else ""
    chosen = f", chosen by its val {metric} {number(best.val.mean or 0.0)}" if on == "test" else ""
    lines = [f"Best: {best.label}: {on} {metric} {mean(reported)} (n={reported.n}{between}){chosen}."]
    if tied := _tied(best, report):
        lines.append(f"On val {tied} as good; the first of them in the table is called the best.")
    comparisons = [group.comparison for group in report.groups if group.comparison]
    told = [one for one in comparisons if one.p is not None or one.equal]
    if told:
        apart = sum(one.significant for one in told)
        rest = len(told) - apart
        some = f"{apart} of {counted(len(told), 'other group')} {'differ' if apart > 1 else 'differs'}"
        line = f"{some} from it (p < 0.05 after Holm's correction)" + (f"; {rest} cannot be told from it" * bool(rest))
        none = "no other group can be told from it: no p is below 0.05 after Holm's correction"
        lines.append(f"On {on} {line if apart else none}.")
    return lines


def _tied(best: Group, report: Report) -> str:
    """`optim=adamw is`: the other groups with the same mean on val, which is common where that split is small."""
    means = ((group, group.val.mean) for group in report.groups if group is not best)
    labels = [group.label for group, value in means if value is not None and isclose(value, best.val.mean or 0.0)]
    return f"{labels[0]} is" if len(labels) == 1 else f"{counted(len(labels), 'other group')} are" if labels else ""


def shown_estimate(group: Group, report: Report) -> Estimate:
    """The group's figures on the split that is reported."""
    return group.test if report.compared_on == "test" else group.val


def mean(one: Estimate) -> str:
    """`0.9321 ± 0.0042`, the mean and the standard deviation."""
    if one.mean is None:
        return "-"
    return number(one.mean) + (f" ± {number(one.std, one.mean)}" if one.std is not None else "")


def interval(one: Estimate) -> str:
    """`0.9272 … 0.9370`"""
    if one.low is None or one.high is None:
        return ""
    return f"{number(one.low, one.mean)} … {number(one.high, one.mean)}"


def number(value: float, beside: float | None = None) -> str:
    """In four decimals; in four digits where it, or what it stands beside, is small or large."""
    size = abs(value if beside is None else beside)
    return f"{value:.4f}" if size == 0 or 0.01 <= size < 1000 else f"{value:.4g}"


def difference(comparison: Comparison | None) -> str:
    """To the best, with its sign."""
    if comparison is None:
        return ""
    value = comparison.difference
    return f"{value:+.4f}" if abs(value) < 1000 else f"{value:+.4g}"


def cost(value: float | None) -> str:
    """Seconds, samples per second, parameters: in three digits at least."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def p_value(comparison: Comparison | None) -> str:
    """The corrected p, with a star where it is below 5 %."""
    if comparison is None or comparison.adjusted is None:
        return ""
    said = f"{comparison.adjusted:.3f}" if comparison.adjusted >= 0.001 else "<0.001"
    return f"{said}{'*' if comparison.significant else ' '}"


def explained(report: Report) -> Iterator[str]:
    """What the columns are, and how the groups were compared or why not."""
    if any(group.val.n or group.test.n for group in report.groups):
        over = " and ".join(report.sweep.repeats)
        yield f"mean ± std over {over}" if over else "one result each, so no error bars: sweep seed=0,1,2, too"
    if report.chosen_on:
        also = ", and reported on test" if report.compared_on == "test" else ""
        has = any(interval(shown_estimate(group, report)) for group in report.groups)
        yield f"the best is chosen on val{also}" + (f"; {PERCENT}: of the mean on {report.compared_on}" if has else "")
    comparisons = [group.comparison for group in report.groups if group.comparison]
    tested = [one for one in comparisons if one.p is not None]
    if comparisons:
        kinds = " and ".join(f"{count} {kind}" for kind, count in Counter(one.test for one in tested).items())
        corrected = f"corrected by Holm for {counted(len(tested), 'comparison')}"
        tests = f"; p: t-tests ({kinds}), {corrected}; *: p < 0.05" if tested else ""
        yield f"Δ: to the best on {report.compared_on}{tests}"
    for why, count in Counter(one.why for one in comparisons if one.why).items():
        yield f"no p for {counted(count, 'group')}: {why}"


def to_come(report: Report) -> dict[str, list[str]]:
    """The names of the jobs that are not over, by status, with the epoch where they are."""
    found: dict[str, list[str]] = {}
    for job in report.sweep.jobs:
        if job.to_come:
            at = f" (epoch {job.epoch:g})" if job.epoch is not None else ""
            found.setdefault(job.status, []).append(f"{job.name}{at}")
    return found


def others(group: Group, key: str) -> str:
    """The group's options but that one: `optim.lr=0.1, model=mlp`."""
    return ", ".join(f"{name}={value}" for name, value in group.values.items() if name != key)


def tuned(report: Report) -> str:
    """What the figure of a value's best group is."""
    return f"tuned: {report.compared_on} {report.metric} of the value's best group on val; with: its other options"


def averaged(effect: Effect) -> str:
    """Over what an effect's means are."""
    of = counted(effect.combinations, "combination")
    if not effect.balanced and max(level.groups for level in effect.levels) == 1:
        return "every value was tried once, with other values of the other options"
    if not effect.balanced:
        return f"unbalanced: none of the {of} of the other options has a result for every value"
    if effect.complete < effect.combinations:
        return f"means over {effect.complete} of {of} of the other options: those with a result for every value"
    return f"means over all {of} of the other options"
