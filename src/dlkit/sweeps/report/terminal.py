"""A report at the terminal: the groups, the effects of the options, the best, what failed, what is to come."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dlkit.records import is_running
from dlkit.sweeps.report import words
from dlkit.sweeps.report.figures import Effect, Group, Report

GROUPS, LEVELS, FAILED, NAMES = 20, 12, 10, 5  # shown at most; report.csv and jobs.csv hold all
NARROW = ("samples/s", "parameters", "seconds", words.PERCENT, "groups", "Δ")  # the first to go in a narrow terminal
Row = dict[str, str]


def show(report: Report, console: Console) -> None:
    """Prints the report."""
    say(console, f"sweep {report.sweep.name}: {words.statuses(report)}", "")
    dropped = _print_groups(report, console)
    say(console, "", *_below(report, dropped), style="dim")
    if len(report.sweep.options) > 1:  # of one option the groups say it
        for effect in (effect for effect in report.effects if effect.is_mean):
            say(console, "")
            _print(_effect_table(effect, report, console), console)
            more = len(effect.levels) - LEVELS
            rest = f"; {words.counted(more, 'more value')} not shown" if more > 0 else ""
            say(console, words.averaged(effect) + rest, style="dim")
        if any(effect.is_mean for effect in report.effects) and report.best:
            say(console, words.tuned(report), style="dim")
    best, *others = words.answer(report)
    say(console, "", best, style="bold")
    say(console, *others)
    for lines in (failures(report), pending(report)):
        say(console, *["", *lines] if lines else [], names=True)


def say(console: Console, *lines: str, style: str | None = None, names: bool = False) -> None:
    """Prints lines, in a terminal broken between words, but for `names`, which are copied from it."""
    for line in lines:
        console.print(line, style=style, soft_wrap=names or not console.is_terminal)


def _print_groups(report: Report, console: Console) -> list[str]:
    """The columns that were left out of it, so that it fits a terminal."""
    rows = [_row(group, report) for group in report.groups[:GROUPS]]
    columns, dropped = _fitting(rows, console)
    drawn = _table(rows, columns, max(1, len(report.sweep.options)), report.best is not None)
    if console.is_terminal and _width(drawn, console) > console.width:
        for drawn_column, head in zip(drawn.columns, _shortened(columns), strict=True):
            drawn_column.header = head
    _print(drawn, console)
    return dropped


def _fitting(rows: Sequence[Row], console: Console) -> tuple[list[str], list[str]]:
    """The columns that have room in a terminal, and those that have none."""
    columns = _filled(rows)
    dropped: list[str] = []
    for column in [column for column in NARROW if column in columns] * console.is_terminal:
        if _width(_table(rows, columns), console) <= console.width:
            break
        columns.remove(column)
        dropped.append(column)
    return columns, dropped


def _shortened(keys: Sequence[str]) -> list[str]:
    """`lr` for `optim.lr`, where that says which."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def _row(group: Group, report: Report) -> Row:
    """The cells of a group by the names of their columns; those that are empty in every row are not shown."""
    return {
        **({key: value or "-" for key, value in group.values.items()} or {"": group.label}),
        f"val {report.metric}": words.mean(group.val) if report.chosen_on else "",
        f"test {report.metric}": words.mean(group.test) if any(one.test.n for one in report.groups) else "",
        words.PERCENT: words.interval(words.shown_estimate(group, report)),
        "n": str(max(group.val.n, group.test.n)),
        "failed": str(group.failed or ""),
        "pruned": str(group.pruned or ""),
        "to come": str(group.waiting + group.running or ""),
        "Δ": words.difference(group.comparison),
        "p": words.p_value(group.comparison),
        "seconds": words.cost(group.seconds),
        "samples/s": words.cost(group.samples_per_second),
        "parameters": words.cost(group.parameters),
    }


def _below(report: Report, dropped: Sequence[str]) -> Iterable[str]:
    """What the table does not show, and what it shows."""
    more = len(report.groups) - GROUPS
    if more > 0:
        yield f"{words.counted(more, 'more group')} in report.csv"
    if dropped:
        yield f"too narrow for {', '.join(dropped)}"
    yield from (*words.explained(report), *report.notes)


def _effect_table(effect: Effect, report: Report, console: Console) -> Table:
    """A row for each value of an option."""
    rows = [
        {
            effect.key: level.value or "-",
            f"val {report.metric}": words.mean(level.val) if level.val.n else "",
            f"test {report.metric}": words.mean(level.test) if level.test.n else "",
            words.PERCENT: words.interval(level.test if report.compared_on == "test" else level.val),
            "groups": str(level.groups),
            "n": str(max(level.val.n, level.test.n)),
            "tuned": words.mean(words.shown_estimate(level.tuned, report)) if level.tuned else "",
            "with": words.others(level.tuned, effect.key) if level.tuned else "",
        }
        for level in effect.levels[:LEVELS]
    ]
    return _table(rows, _fitting(rows, console)[0])


def _filled(rows: Sequence[Row]) -> list[str]:
    return [column for column in rows[0] if any(row[column] for row in rows)]


def _table(rows: Sequence[Row], columns: Sequence[str], left: int = 1, bold_first: bool = False) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i < left or column == "with" else "right", no_wrap=True)
    for i, row in enumerate(rows):
        drawn.add_row(*(row[column] for column in columns), style="bold" if bold_first and i == 0 else "")
    return drawn


def _print(drawn: Table, console: Console) -> None:
    """Wider than the terminal rather than cut off."""
    before = console.width
    console.width = max(before, _width(drawn, console))
    console.print(drawn)
    console.width = before


def _width(drawn: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(width=10**6), drawn).maximum


def failures(report: Report) -> list[str]:
    """The jobs that failed, why, where to read on, and how to begin them again."""
    failed = [job for job in report.sweep.jobs if job.failed]
    lines = [f"{words.counted(len(failed), 'job')} failed"] if failed else []
    for job in failed[:FAILED]:
        lines += [f"  {job.name}: {job.reason or 'no reason is recorded'}", f"    {job.log}"]
    lines += [f"  and {len(failed) - FAILED} more, in jobs.csv"] if len(failed) > FAILED else []
    if failed and _can_go_on(report):
        lines.append(f"`dlkit sweep resume {_typed(report)} hydra.launcher.rerun_failed=true` begins them again")
    return lines


def pending(report: Report) -> list[str]:
    """The jobs that are not over, by status, and how to go on with those that do not run."""
    by_status = words.to_come(report)
    lines = []
    for status, names in by_status.items():
        more = f"; and {len(names) - NAMES} more" if len(names) > NAMES else ""
        lines.append(f"{len(names)} {status}: {'; '.join(names[:NAMES])}{more}")
    if set(by_status) - {"running"} and _can_go_on(report):
        lines.append(f"`dlkit sweep resume {_typed(report)}` goes on with them")
    return lines


def _can_go_on(report: Report) -> bool:
    return report.sweep.planned and not is_running(report.sweep.folder)


def _typed(report: Report) -> str:
    """The sweep's folder as a shell takes it."""
    return shlex.quote(str(report.sweep.folder))
