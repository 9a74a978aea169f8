"""How good the runs of a search were at each epoch, for `callbacks.prune.Prune` to compare with."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from dlkit.records import parsed
from dlkit.rundir import write_json
from dlkit.settings import config_folder
from dlkit.sweeps.jobs import Outcome

STARTUP = 5  # runs that must have come to their end before one is pruned, as in Optuna's MedianPruner
Curve = list[tuple[float, float]]  # epoch, best value by then


def is_pruned(outcome: Outcome) -> bool:
    """Whether the callback ended the job."""
    return outcome.status == "stopped" and outcome.reason.startswith("pruned")


class Medians:
    """Gathers the curves of jobs that came to their end, and writes the median at each epoch into a file."""

    def __init__(self, path: Path, monitor: str, higher: bool) -> None:
        self.path, self.monitor, self.higher = path, monitor, higher
        self.curves: dict[str, Curve] = {}

    def callbacks(self) -> dict[str, Any]:
        """What a job's callbacks need besides, to be pruned."""
        added = yaml.safe_load((config_folder() / "callbacks" / "_prune.yaml").read_text(encoding="utf-8"))
        return {name: {**node, "medians": str(self.path)} for name, node in added.items()}

    def add(self, outcome: Outcome, folder: Path) -> None:
        """Takes up the job in this folder, unless it was pruned or failed."""
        if outcome.done and not is_pruned(outcome) and outcome.name not in self.curves:
            self.curves[outcome.name] = curve(folder, self.monitor, self.higher)
            if len(self.curves) >= STARTUP:
                rows = medians(list(self.curves.values()))
                write_json({"monitor": self.monitor, "higher_is_better": self.higher, "medians": rows}, self.path)


def curve(folder: Path, monitor: str, higher: bool) -> Curve:
    """The best value of the figure by each evaluation of the run in this folder."""
    found: Curve = []
    best = max if higher else min
    with (folder / "metrics.jsonl").open("rb") as file:
        for row in map(parsed, file):
            if isinstance(value := row.get(monitor), int | float):
                found.append((row["epoch"], best(value, found[-1][1]) if found else value))
    return found


def medians(curves: list[Curve]) -> Curve:
    """At every epoch of any curve, the median over all curves of the best value by then."""
    epochs = sorted({epoch for one in curves for epoch, _ in one})
    rows: Curve = []
    for epoch in epochs:
        by_then = [bisect_right(one, epoch, key=lambda point: point[0]) for one in curves]
        rows.append((epoch, median(one[count - 1][1] for one, count in zip(curves, by_then, strict=True) if count)))
    return rows
