"""Report a sweep: `dlkit report latest`: means over seeds with intervals, the best, what each option does, what failed.

DIR is a sweep's folder, its name under outputs/sweeps, `latest`, or any folder with runs, whose configs then say what
was swept. Jobs that differ only in seed, data.fold or data.split_seed are repeats of one group. A sweep that is not
over is reported as far as it is. Writes report.csv, jobs.csv and report.html into DIR; exit code 1 where jobs failed.
"""

from __future__ import annotations

import sys

from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered
from dlkit.sweeps.report import read


def main(args: list[str] | None = None) -> None:
    """Prints the report and writes its files; exits with 1 where jobs failed, with 2 for a mistake."""
    parser = Parser("report", __doc__)
    parser.add_argument("sweep", nargs="?", default="latest", metavar="DIR", help="latest, the newest, if left out")
    parser.add_argument("--metric", metavar="NAME", help="judge by another figure: loss, rmse …; default: the headline")
    flags = parser.parse_args(args)
    with answered():
        folder = read.find(flags.sweep)
        from dlkit.sweeps.report.show import show  # scipy: 1 s

        report = show(folder, flags.metric)
    sys.exit(1 if any(job.failed for job in report.sweep.jobs) else 0)
