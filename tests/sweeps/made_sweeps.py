"""Folders as sweeps leave them, made without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from small_runs import RESULT

Swept = dict[str, list[str]]


def make_sweep(folder: str | Path, swept: Swept, result: Callable[[dict[str, str]], dict[str, Any] | None]) -> Path:
    """A sweep over all combinations. `result` gives of each job what changes RESULT; None: it has not begun."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    jobs = []
    for values in product(*swept.values()):
        overrides = dict(zip(swept, values, strict=True))
        name = ",".join(f"{key}={value}" for key, value in overrides.items())
        jobs.append({"name": name, "overrides": overrides})
        if (found := result(overrides)) is not None:
            end_job(folder / name, **found)
    plan = {
        "name": folder.name,
        "time": "2026-01-01T12:00:00+00:00",
        "folder": str(Path.cwd()),
        "commands": [[f"{key}={','.join(values)}" for key, values in swept.items()]],
        "fixed": {"trainer.epochs": "3"},
        "swept": swept,
        "jobs": jobs,
    }
    (folder / "sweep.json").write_text(json.dumps(plan))
    return folder


def end_job(folder: Path, **result: Any) -> None:
    """Writes what a run leaves at its end."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "result.json").write_text(json.dumps(RESULT | result))


def figures(val: float | None, test: float | None) -> dict[str, Any]:
    """A result with these accuracies."""
    given = {"val/accuracy": val, "test/accuracy": test}
    return {"metrics": {key: value for key, value in given.items() if value is not None}}
