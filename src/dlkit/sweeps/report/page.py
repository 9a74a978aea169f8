"""A report as one page of HTML, which holds its pictures and needs no network."""

from __future__ import annotations

import html
import os
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from dlkit.rundir import write_text
from dlkit.sweeps.report import panels, pictures, words
from dlkit.sweeps.report.figures import Group, Level, Report
from dlkit.sweeps.report.markup import Cell, listed, table
from dlkit.sweeps.report.read import Job
from dlkit.sweeps.report.statistics import Estimate
from dlkit.sweeps.report.style import CSS, SCRIPT

text = html.escape


def write(report: Report, path: Path) -> None:
    """Writes the page."""
    write_text(page(report), path)


def page(report: Report) -> str:
    """The page: the answer, the groups, the effects of the options, curves, heat maps, what failed, every job."""
    sections = (_top, _groups, _effects, _curves, _heat_maps, _failures, _to_come, _jobs)
    body = "\n".join(line for section in sections for line in section(report))
    title = text(f"sweep {report.sweep.name}")
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><style>{CSS}</style></head>
<body>
{body}
<script>{SCRIPT}</script>
</body>
</html>
"""


def _top(report: Report) -> Iterator[str]:
    sweep = report.sweep
    now = datetime.now(timezone.utc).isoformat(" ", "minutes")[:16]
    begun = f"begun {sweep.time.replace('T', ' ')[:16]}, " if sweep.time else ""
    yield f"<h1>{text(sweep.name)}</h1>"
    yield f'<p class="soft">{begun}as of {now} UTC</p>'
    for command in sweep.commands:
        yield f"<pre><code>dlkit train -m {text(shlex.join(command))}</code></pre>"
    counter = Counter(_kind(job) for job in sweep.jobs)
    kinds = {kind: counter[kind] for kind in ("done", "running", "waiting", "pruned", "failed") if counter[kind]}
    parts = "".join(f'<i class="{kind}" style="flex:{count}"></i>' for kind, count in kinds.items())
    yield f'<div class="states" role="img" aria-label="{text(words.statuses(report))}">{parts}</div>'
    counts = "".join(f'<span><i class="{kind}"></i>{count} {kind}</span>' for kind, count in kinds.items())
    yield f'<div class="counts">{counts}</div>'
    yield '<div class="answer">' + "".join(f"<p>{text(line)}</p>" for line in words.answer(report)) + "</div>"
    if report.notes:
        yield listed([text(note) for note in report.notes], "notes")


def _kind(job: Job) -> str:
    if job.done or job.failed:
        return "done" if job.done else "failed"
    return job.status if job.status in ("running", "pruned") else "waiting"


def _groups(report: Report) -> Iterator[str]:
    yield "<h2>Groups</h2>"
    yield table(
        [_group(group, report) for group in report.groups],
        ["best" if group is report.best else "" for group in report.groups],
    )
    yield listed([text(line) for line in words.explained(report)], "notes")
    seconds = sum(job.seconds or 0 for job in report.sweep.jobs)
    yield (
        '<p class="soft">Costs: medians over the jobs of a group; seconds are of training, '
        f"all jobs together {_clock(seconds)}.</p>"
    )


def _group(group: Group, report: Report) -> dict[str, Cell]:
    """The cells of a group by the names of their columns."""
    compared = group.comparison
    return {
        **({key: Cell(value or "–") for key, value in group.values.items()} or {"": Cell(group.label)}),
        f"val {report.metric}": _mean(group.val),
        f"test {report.metric}": _mean(group.test),
        words.PERCENT: Cell.number(words.interval(words.shown_estimate(group, report))),
        "n": Cell.number(str(max(group.val.n, group.test.n))),
        **{
            name: Cell.number(str(count or ""))
            for name, count in (
                ("failed", group.failed),
                ("pruned", group.pruned),
                ("to come", group.waiting + group.running),
            )
        },
        "Δ": Cell.number(words.difference(compared), compared.difference if compared else None),
        "p": Cell.number(words.p_value(compared).strip(), compared.adjusted if compared else None),
        "seconds": Cell.number(words.cost(group.seconds), group.seconds),
        "samples/s": Cell.number(words.cost(group.samples_per_second), group.samples_per_second),
        "parameters": Cell.number(words.cost(group.parameters), group.parameters),
    }


def _mean(one: Estimate) -> Cell:
    return Cell.number(words.mean(one) if one.n else "", one.mean)


def _effects(report: Report) -> Iterator[str]:
    drawn = panels.effects(report)
    if not drawn:
        return
    yield "<h2>Effects of the options</h2>"
    behind = "groups, over which it is the mean" if len(report.effects) > 1 else "single jobs"
    yield (
        f'<p class="soft">Mean {panels.split(report)} {text(report.metric)} at each value, with its '
        f"{words.PERCENT} interval; pale: {behind}.</p>"
    )
    yield _grid(drawn)
    levels = [(effect.key, level) for effect in report.effects if effect.is_mean for level in effect.levels]
    rows = [_tuned(key, level, level.tuned, report) for key, level in levels if level.tuned]
    if len(report.effects) > 1:
        said = [f"<b>{text(effect.key)}</b>: {text(words.averaged(effect))}" for effect in report.effects]
        yield listed(said, "notes")
        if rows:
            yield table(rows)
            yield listed([text(words.tuned(report))], "notes")


def _tuned(key: str, level: Level, best: Group, report: Report) -> dict[str, Cell]:
    """The cells of a value with its best group."""
    one = words.shown_estimate(best, report)
    return {
        "option": Cell(key),
        "value": Cell(level.value or "–"),
        "tuned": _mean(one),
        words.PERCENT: Cell.number(words.interval(one)),
        "with": Cell(words.others(best, key)),
    }


def _curves(report: Report) -> Iterator[str]:
    curves = panels.curves(report)
    if not curves.pictures:
        return
    yield "<h2>Learning curves</h2>"
    shown = len(curves.groups)
    some = f", {shown} groups from the best to the worst" if 1 < shown < len(report.groups) else ""
    yield f'<p class="soft">Mean over the jobs of a group, and bands of one standard deviation{some}.</p>'
    keys = []
    for index, group in enumerate(curves.groups):
        shade, dashes = pictures.colour(index)
        pattern = " ".join(f"{3 * part:g}" for part in dashes)
        line = f'<path d="M1 5h32" stroke="{shade}" stroke-dasharray="{pattern}" stroke-width="3"/>'
        keys.append(f'<svg viewBox="0 0 34 10">{line}</svg>{text(group.label)}')
    yield listed(keys, "key")
    yield _grid(curves.pictures, "26rem")


def _heat_maps(report: Report) -> Iterator[str]:
    maps = panels.heat_maps(report)
    if maps is None:
        return
    worst, best = (maps.shades.text(value) for value in (maps.shades.worst, maps.shades.best))
    scale = f"background:linear-gradient(to right,{pictures.PALE},{pictures.MAIN})"
    yield "<h2>Options together</h2>"
    left = f"; {words.counted(maps.left_out, 'combination')} of the other options left out" if maps.left_out else ""
    marked = "; framed: the best" if report.best else ""
    yield (
        f'<p class="soft">Mean {panels.split(report)} {text(report.metric)} of each group, {worst}'
        f'<i class="scale" style="{scale}"></i>{best}{marked}{left}.</p>'
    )
    yield _grid(maps.pictures, f"{max(22, 3 * maps.columns)}rem")


def _grid(drawn: list[str], least: str = "20rem") -> str:
    return f'<div class="pictures" style="--least:{least}">' + "".join(f"<div>{one}</div>" for one in drawn) + "</div>"


def _failures(report: Report) -> Iterator[str]:
    failed = [job for job in report.sweep.jobs if job.failed]
    if failed:
        yield f"<h2>{words.counted(len(failed), 'job')} failed</h2>"
        yield table(
            [
                {
                    "job": Cell(job.name, link=_link(job.log, report)),
                    "why": Cell(job.reason or "no reason is recorded", kind="wide"),
                }
                for job in failed
            ]
        )


def _to_come(report: Report) -> Iterator[str]:
    if by_status := words.to_come(report):
        yield "<h2>To come</h2>"
        yield listed([f"<b>{len(names)} {status}</b>: {text('; '.join(names))}" for status, names in by_status.items()])


def _jobs(report: Report) -> Iterator[str]:
    yield "<details><summary><h2>All jobs</h2></summary>"
    yield table([_job(job, report) for job in report.sweep.jobs])
    yield "</details>"


def _job(job: Job, report: Report) -> dict[str, Cell]:
    figures = {f"{split} {report.metric}": job.metrics.get(f"{split}/{report.metric}") for split in ("val", "test")}
    return {
        "job": Cell(job.name, link=_link(job.log, report)),
        "status": Cell(job.status),
        **{name: Cell.number("" if x is None else words.number(x), x) for name, x in figures.items()},
        "epochs": Cell.number("" if job.epoch is None else f"{job.epoch:g}", job.epoch),
        "seconds": Cell.number(words.cost(job.seconds), job.seconds),
        "reason": Cell("" if job.failed else job.reason, kind="wide"),
    }


def _link(path: Path, report: Report) -> str:
    return quote(Path(os.path.relpath(path, report.sweep.folder)).as_posix())


def _clock(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{seconds:.3g} s" if minutes < 2 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
