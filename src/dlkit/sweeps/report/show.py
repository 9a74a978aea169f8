"""Prints a report and writes its files: report.csv, jobs.csv and report.html in the sweep's folder."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

from dlkit.sweeps.report import figures, page, read, table, terminal
from dlkit.sweeps.report.figures import Report


def show(folder: Path, metric: str | None = None) -> Report:
    """The report of the sweep in the folder, printed and written.

    Raises ValueError where there is none, no job has the metric, or the files cannot be written.
    """
    report = figures.report(read.read(folder), metric)
    if isinstance(sys.stdout, TextIOWrapper):  # where a terminal or a pipe has no ±, it gets ?
        sys.stdout.reconfigure(errors="replace")
    terminal.show(report, Console(highlight=False, markup=False, emoji=False))
    print("\n" + "\n".join(map(str, write(report))))
    return report


def write(report: Report) -> list[Path]:
    """Writes the report's files into the sweep's folder; their paths. Raises ValueError where that cannot be."""
    folder = report.sweep.folder
    try:
        paths = table.write(report, folder)
        page.write(report, folder / "report.html")
    except OSError as error:
        raise ValueError(f"{folder}: the report cannot be written there: {error}") from error
    return [*paths, folder / "report.html"]
