"""Report a sweep: `dlkit report latest`: means over seeds with intervals, the best, what each option does, what failed.

DIR is a sweep's folder, its name under outputs/sweeps, `latest`, or any folder with runs, whose configs then say what
was swept. Jobs that differ only in seed, data.fold or data.split_seed are repeats of one group. A sweep that is not
over is reported as far as it is. Writes report.csv, jobs.csv and report.html into DIR; exit code 1 where jobs failed.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered

if TYPE_CHECKING:
    from dlkit.sweeps.report.figures import Report


def main(args: list[str] | None = None) -> None:
    """Prints the report and writes its files; exits with 1 where jobs failed, with 2 for a mistake."""
    parser = Parser("report", __doc__)
    parser.add_argument("sweep", nargs="?", default="latest", metavar="DIR", help="latest, the newest, if left out")
    parser.add_argument("--metric", metavar="NAME", help="judge by another figure: loss, rmse …; default: the headline")
    flags = parser.parse_args(args)
    with answered():
        from rich.console import Console

        from dlkit.sweeps.report import figures, read, terminal

        made = figures.report(read.read(read.find(flags.sweep)), flags.metric)
        if isinstance(sys.stdout, TextIOWrapper):  # where a terminal or a pipe has no ±, it gets ?
            sys.stdout.reconfigure(errors="replace")
        terminal.show(made, Console(highlight=False, markup=False, emoji=False))
        print("\n" + "\n".join(map(str, write(made))))
    sys.exit(1 if any(job.failed for job in made.sweep.jobs) else 0)


def write(report: Report) -> list[Path]:
    """Writes the report's files into the sweep's folder; their paths. Raises ValueError where that cannot be."""
    from dlkit.sweeps.report import page, table

    try:
        paths = table.write(report, report.sweep.folder)
        page.write(report, report.sweep.folder / "report.html")
    except OSError as error:
        raise ValueError(f"{report.sweep.folder}: the report cannot be written there: {error}") from error
    return [*paths, report.sweep.folder / "report.html"]
