"""The figures of a report as CSV: a row for each group, and one for each job."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from dlkit.sweeps.report.figures import SPLITS, Group, Report
from dlkit.sweeps.report.read import COST
from dlkit.sweeps.report.statistics import Estimate


def write(report: Report, folder: Path) -> list[Path]:
    """Writes report.csv and jobs.csv into the folder; their paths."""
    paths = [folder / "report.csv", folder / "jobs.csv"]
    for path, rows in zip(paths, (groups(report), jobs(report)), strict=True):
        path.write_text(_csv(rows), encoding="utf-8")
    return paths


def groups(report: Report) -> list[dict[str, Any]]:
    """Options, counts, figures of both splits, the comparison with the best, costs: a row for each group, in order."""
    return [_row(group, report) for group in report.groups]


def _row(group: Group, report: Report) -> dict[str, Any]:
    row: dict[str, Any] = {
        **group.values,
        "jobs": len(group.jobs),
        "done": sum(job.done for job in group.jobs),
        "failed": group.failed,
        "pruned": group.pruned,
        "running": group.running,
        "waiting": group.waiting,
    }
    for split, one in zip(SPLITS, (group.val, group.test), strict=True):
        row |= {f"{split}/{report.metric}_{name}": value for name, value in _parts(one).items()}
    parts = ("test", "n", "difference", "p", "adjusted", "why")
    row |= {f"comparison_{part}": getattr(group.comparison, part, None) for part in parts}
    return row | {part: getattr(group, part) for part in ("seconds", "samples_per_second", "parameters")}


def _parts(one: Estimate) -> dict[str, float | None]:
    return {"mean": one.mean, "std": one.std, "n": one.n, "low": one.low, "high": one.high}


def jobs(report: Report) -> list[dict[str, Any]]:
    """Swept keys, how it ended, its cost, its final metrics: a row for each job."""
    return [
        {
            "job": job.name,
            **job.overrides,
            "status": job.status,
            "reason": job.reason,
            **{key: getattr(job, key) for key in COST},
            **{f"best_{key}": job.best.get(key) for key in ("metric", "value", "step")},
            **job.metrics,
        }
        for job in report.sweep.jobs
    ]


def _csv(rows: list[dict[str, Any]]) -> str:
    """With a column for every key of any row; what is missing is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
