"""The end of a sweep: its report, and how the program ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.utils import JobReturn, JobStatus


def close(returns: Sequence[JobReturn], folder: Path) -> NoReturn:
    """Reports on the sweep in this folder and ends the program: 0, 1 where jobs failed, 130 where it was interrupted."""
    bad = [str(one._return_value) for one in returns if one.status is not JobStatus.COMPLETED]
    if any(text.startswith(("interrupted", "waiting")) for text in bad):
        sys.exit(130)
    sys.exit(1 if bad else 0)
