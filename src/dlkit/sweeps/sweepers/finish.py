"""The end of a sweep: its report, its figure, and how the program ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.utils import JobReturn, JobStatus

from dlkit.mistakes import is_mistake
from dlkit.rundir import shown


def exit_code(returns: Sequence[JobReturn]) -> int:
    """0; 1 where jobs failed; 130 where Ctrl-C ended the sweep."""
    bad = [str(one._return_value) for one in returns if one.status is not JobStatus.COMPLETED]
    return 130 if any(text.startswith(("interrupted", "waiting")) for text in bad) else 1 if bad else 0


def finish(code: int, folder: Path) -> NoReturn:
    """Reports on the sweep in this folder and ends the program with this exit code, 1 where its figure contradicts its
    claim, or 2 where its figure cannot draw these runs."""
    try:
        _report(folder)
        if not code and not _draw(folder):
            code = 1
    except KeyboardInterrupt:
        code = 130
    except ValueError as error:
        if not is_mistake(error):
            raise
        print(error, file=sys.stderr)
        code = 2
    sys.exit(code)


def _draw(folder: Path) -> bool:
    """Draws the figure that the sweep's config asks for; whether its claim holds, which it does where there is none."""
    from dlkit.lectures.concluding import conclude
    from dlkit.log import Log

    logging = Log()
    try:
        finding = conclude(folder)
    finally:
        logging.close()
    return finding is None or finding["holds"]


def _report(folder: Path) -> None:
    """Prints the report and writes its files. The results stand in the jobs' folders, so it may fail in one line."""
    folder = Path(shown(folder))
    try:
        from dlkit.sweeps.report.show import show

        print()
        show(folder)
    except Exception as error:
        reason = " ".join(str(error).split())
        print(
            f"warning: no report: {type(error).__name__}: {reason}; `dlkit report {folder}` tries again",
            file=sys.stderr,
        )
