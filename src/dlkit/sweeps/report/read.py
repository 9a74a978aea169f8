"""The jobs of a sweep as their files show them at this moment; of a sweep that runs, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from dlkit.records import outcome, parsed
from dlkit.runs import all_runs, read_json
from dlkit.sweeps.plan import REPEATS, ROOT, Plan

COST = ("weights", "step", "epoch", "seconds", "samples_per_second", "parameters")  # as result.json has them


@dataclass(frozen=True)
class Job:
    """What the folder of a job says; what is missing is empty or None."""

    name: str
    folder: Path
    overrides: dict[str, str]  # every swept key and its value as text, "" where the job was not given the key
    status: str  # finished, stopped, pruned, interrupted, failed; without result: running, killed, waiting; damaged
    reason: str = ""  # one line, how it ended
    metrics: dict[str, float | None] = field(default_factory=dict)  # "val/accuracy"; of a running job the last ones
    best: dict[str, Any] = field(default_factory=dict)  # metric, value, step, metrics
    weights: str | None = None  # of which the final metrics are: last, best …
    step: int | None = None
    epoch: float | None = None
    seconds: float | None = None  # of training
    samples_per_second: float | None = None
    parameters: int | None = None

    @property
    def done(self) -> bool:
        """Whether it came to its end, by its length or by early stopping, so that its metrics count; those of a job
        that a search pruned do not."""
        return self.status in ("finished", "stopped")

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "damaged")

    @property
    def to_come(self) -> bool:
        """Whether it runs, or would with the sweep's next start."""
        return self.status in ("running", "waiting", "interrupted", "killed")

    @property
    def log(self) -> Path:
        """What it printed; its folder where nothing is there."""
        found = (self.folder / name for name in ("job.log", "train.log"))
        return next((path for path in found if path.exists()), self.folder)


@dataclass(frozen=True)
class Sweep:
    """Jobs, and what was asked for."""

    name: str
    folder: Path
    time: str  # ISO 8601, when it began; "" where not recorded
    commands: list[list[str]]  # as typed, behind `dlkit train -m`
    fixed: dict[str, str]  # overrides that all jobs share
    swept: dict[str, list[str]]  # keys in the order typed, each with all its values
    jobs: list[Job]
    planned: bool  # by sweep.json, so that it can be gone on with

    @property
    def options(self) -> list[str]:
        """The swept keys that are no repeats."""
        return [key for key in self.swept if key not in self.repeats]

    @property
    def repeats(self) -> list[str]:
        """The swept keys that repeat an experiment: its seed, its fold, its splits."""
        return [key for key in self.swept if key in REPEATS]


def find(sweep: str) -> Path:
    """The folder of a sweep: itself, or its name under outputs/sweeps; `latest` is the newest there.

    Raises ValueError where there is none.
    """
    planned = {path.parent: path for path in sorted(ROOT.rglob("sweep.json"))} if ROOT.is_dir() else {}
    if sweep == "latest":
        newest = max(planned, key=lambda folder: str(read_json(planned[folder]).get("time", "")), default=None)
        if newest is None:
            raise ValueError(f"latest: there is no sweep under {ROOT.absolute()}")
        return newest
    places = [place for place in (Path(sweep).expanduser(), ROOT / sweep) if place.is_dir()]
    if not places:
        close = get_close_matches(sweep, [folder.name for folder in planned], n=1)
        hint = f"did you mean {close[0]}?" if close else "name a folder of runs, or `latest`"
        raise ValueError(f"{sweep}: there is no sweep, no such folder here or under {ROOT}; {hint}")
    place = next((place for place in places if (place / "sweep.json").is_file()), places[0])
    if (place / "config.yaml").is_file():
        raise ValueError(f"{sweep}: is a single run, and a report compares runs; see it with `dlkit info {sweep}`")
    return place


def read(folder: Path) -> Sweep:
    """The sweep in the folder; of runs without sweep.json what differs between their configs counts as swept.

    Raises ValueError where there is neither.
    """
    if (plan := Plan.read(folder)) is not None:
        return _planned(folder, plan)
    from dlkit.sweeps.report.differing import gathered  # reads every config, which a sweep of ours does not need

    found = list(all_runs(folder))
    if not found:
        damaged = "sweep.json cannot be read, and " if (folder / "sweep.json").exists() else ""
        raise ValueError(f"{folder}: {damaged}there are no runs in it")
    return gathered(folder, found)


def _planned(folder: Path, plan: Plan) -> Sweep:
    given = {one["name"]: {key: one["overrides"].get(key, "") for key in plan.swept} for one in plan.jobs}
    jobs = [job(name, folder / name, values) for name, values in given.items()]
    return Sweep(plan.name, folder, plan.time, plan.commands, plan.fixed, plan.swept, jobs, planned=True)


def job(name: str, folder: Path, overrides: dict[str, str]) -> Job:
    """What the folder says of how the job went."""
    status, result = outcome(folder)
    said = result.get("reason") or ("its result.json cannot be read" if status == "damaged" else "")
    reason = next(iter(str(said).strip().splitlines()), "")
    best = result.get("best")
    costs: dict[str, Any] = {key: result.get(key) for key in COST}
    return Job(
        name,
        folder,
        overrides,
        "pruned" if status == "stopped" and reason.startswith("pruned") else status,
        reason,
        metrics=_figures(result.get("metrics")),
        best=best if isinstance(best, dict) else {},
        **costs,
    )


def _figures(metrics: Any) -> dict[str, float | None]:
    items = metrics.items() if isinstance(metrics, dict) else ()
    finite = {key: isinstance(value, int | float) and isfinite(value) for key, value in items}
    return {key: float(value) if finite[key] else None for key, value in items if "/" in key}


def curves(job: Job) -> list[dict[str, Any]]:
    """The rows of its metrics.jsonl: step, epoch, seconds, and figures by `split/name`, None where not finite."""
    try:
        with (job.folder / "metrics.jsonl").open("rb") as file:
            return [row for row in map(parsed, file) if row]
    except OSError:
        return []
