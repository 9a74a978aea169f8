"""The end of a sweep: its report, and how the program ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.utils import JobReturn, JobStatus


def close(returns: Sequence[JobReturn], folder: Path) -> NoReturn:
    """Reports on the sweep in this folder and ends the program: 0, 1 where jobs failed, 130 after Ctrl-C."""
    bad = [str(one._return_value) for one in returns if one.status is not JobStatus.COMPLETED]
    end(130 if any(text.startswith(("interrupted", "waiting")) for text in bad) else 1 if bad else 0, folder)


def end(code: int, folder: Path) -> NoReturn:
    """Reports on the sweep in this folder and ends the program with this exit code, or 1 where its figure contradicts
    its claim."""
    try:
        _report(folder)
        if not code and not _figure(folder):
            code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _figure(folder: Path) -> bool:
    """Draws what the sweep's config asks for; whether its claim holds."""
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
    folder = folder.absolute()
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
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
