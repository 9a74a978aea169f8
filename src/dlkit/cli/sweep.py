"""Go on with a sweep: `dlkit sweep resume latest`: what is done stays, what is not is run.

DIR is a sweep's folder, its name under outputs/sweeps, or `latest`. Jobs that were interrupted or killed go on from
their checkpoints; options that follow are added, such as hydra.launcher.rerun_failed=true or hydra.launcher.n_jobs=4.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered
from dlkit.rundir import shown
from dlkit.sweeps import plan
from dlkit.sweeps.report import read


def main(args: list[str] | None = None) -> None:
    """Runs the commands again that the sweep is made of; exits with the worst of their exit codes."""
    from hydra.core.override_parser.types import Quote, QuotedString

    from dlkit.cli import train

    parser = Parser("sweep", __doc__)
    parser.add_argument("action", choices=["resume"], help="go on with it")
    parser.add_argument("sweep", metavar="DIR", help="the sweep")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="added to those that it was started with")
    flags = parser.parse_args(args)
    with answered():
        folder, found = _find(flags.sweep)
    if Path(found.folder).is_dir() and Path(found.folder) != Path.cwd():  # what its options name is there
        print(f"from    {found.folder}, where it was begun: paths are relative to it", flush=True)
        os.chdir(found.folder)
    place = QuotedString(shown(folder), Quote.single).with_quotes()
    worst = 0
    for command in found.commands:
        try:
            train.main(["-m", *command, f"hydra.sweep.dir={place}", *flags.options])
        except SystemExit as end:
            worst = max(worst, int(end.code or 0))
        if worst > 128:  # a signal is meant for all
            break
    sys.exit(worst)


def _find(sweep: str) -> tuple[Path, plan.Plan]:
    """The sweep's folder and plan. Raises ValueError where nobody planned what is there."""
    folder = read.find(sweep).absolute()
    found = plan.Plan.read(folder)
    if found is None:
        raise ValueError(f"{folder}: there is no sweep to go on with, since it has no sweep.json that can be read")
    return folder, found
