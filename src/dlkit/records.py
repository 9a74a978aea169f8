"""What the files of a run say, read as fast as a list of hundreds needs it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dlkit.runs import read_json
from dlkit.settings import GROUPS, leaves

TAIL = 65536  # bytes at the end of metrics.jsonl, enough for the last figures of every kind
HEADLINES = ("accuracy", "r2", "loss")  # the figure that a run is judged by: the first that it has
HIGHER = ("accuracy", "r2")  # of these more is better, of all others less
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads a config in 0.7 ms, PyYAML in 5


@dataclass(frozen=True)
class Record:
    """What the files of a run say; what is missing or damaged is empty."""

    folder: Path
    config: dict[str, Any]
    env: dict[str, Any]
    result: dict[str, Any]  # of a run that has not ended: what metrics.jsonl says of it
    status: str  # of result.json: finished, stopped, interrupted, failed; without one running, killed; damaged
    problems: tuple[str, ...]  # a line for each damaged file

    @property
    def choices(self) -> dict[str, str]:
        """The file chosen of each group; the last part of its target where that was not recorded."""
        nodes = {group: _mapping(self.config.get(group)).get("_target_") for group in GROUPS}
        targets = {group: str(name).rpartition(".")[2] for group, name in nodes.items() if name}
        return targets | _mapping(self.env.get("choices"))

    @property
    def metrics(self) -> dict[str, Any]:
        return {key: value for key, value in _mapping(self.result.get("metrics")).items() if "/" in key}

    @property
    def best(self) -> dict[str, Any]:
        """`metric`, `value` and `step` of the best evaluation; with its weights, the `metrics` of every split."""
        return _mapping(self.result.get("best"))

    def summary(self) -> dict[str, Any]:
        """What a list or a script wants to know, as plain data."""
        given = {key: self.result.get(key, self.config.get(key)) for key in ("name", "tags", "seed")}
        ended = ("reason", "step", "epoch", "seconds", "parameters", "samples_per_second")
        return {
            "folder": str(self.folder),
            "time": str(self.env.get("time", "")),
            "status": self.status,
            "choices": self.choices,
            **given,
            **{key: self.result.get(key) for key in ended},
            "device": self.env.get("device"),
            "metrics": self.metrics,
            "best": self.best,
            **({"problems": list(self.problems)} if self.problems else {}),
        }

    def fields(self) -> dict[str, Any]:
        """All that is known by one key each: the summary, choices, metrics, `best/` ones, and the config's leaves."""
        summary = self.summary()
        best = {f"best/{key}": value for key, value in _mapping(self.best.get("metrics")).items()}
        nested = {name: summary.pop(name) for name in ("choices", "metrics", "best")}
        config = {str(key): value for key, value in leaves(self.config)}
        return {**config, **nested["choices"], **best, **nested["metrics"], **summary, "config": self.config}


def read(folder: Path) -> Record:
    """What the files of the run say. Raises nothing for damaged ones."""
    problems = []
    config: Any = None
    with suppress(OSError, ValueError, yaml.YAMLError):
        config = yaml.load((folder / "config.yaml").read_bytes(), Loader=LOADER)
    if not isinstance(config, dict):
        problems.append("config.yaml cannot be read")
    status, result = outcome(folder)
    if status == "damaged":
        problems.append("result.json cannot be read")
    env = read_json(folder / "env.json")
    return Record(folder, _mapping(config), env, result, "damaged" if problems else status, tuple(problems))


def outcome(folder: Path) -> tuple[str, dict[str, Any]]:
    """The status of a run and what result.json says; without it, what metrics.jsonl says of it.

    The status is finished, stopped, interrupted or failed as result.json says; without it running, killed, or waiting,
    where no run began; damaged where result.json cannot be read.
    """
    running = is_running(folder)  # asked first: a run that ends meanwhile has its result by then
    ended = (folder / "result.json").exists()
    result = read_json(folder / "result.json")
    if isinstance(result.get("status"), str):
        return result["status"], result
    if ended:
        status = "damaged"
    else:
        status = "running" if running else "killed" if (folder / "config.yaml").exists() else "waiting"
    return status, result or _so_far(folder)


def is_running(folder: Path) -> bool:
    """Whether a process is at work in the folder: it holds the lock that `rundir.locked` takes."""
    try:
        with (folder / ".lock").open("rb") as file:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back at once, as the file is closed
    except ImportError:  # Windows has no such lock: the file is all there is to see
        return True
    except BlockingIOError:
        return True
    except OSError:  # no such file
        return False
    return False


def _so_far(folder: Path) -> dict[str, Any]:
    """Where a run without result got to: the last figures of metrics.jsonl."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            lines = file.read().splitlines()[1 if size > TAIL else 0 :]
    except OSError:
        return {}
    figures: dict[str, Any] = {}
    for line in lines:
        figures |= parsed(line)
    return {**figures, "metrics": figures}


def parsed(line: str | bytes) -> dict[str, Any]:
    """A line of metrics.jsonl; empty where it is cut off, as the last one may be."""
    try:
        return _mapping(json.loads(line))
    except ValueError:
        return {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
