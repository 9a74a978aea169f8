"""What this machine has for this process. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> float:
    """GB that new processes can have; plenty where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 1e6
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1e6
