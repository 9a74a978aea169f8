"""What a sweep is to do: its name, its jobs and theirs, and the file that says so, `sweep.json`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkit.begin import MACHINE, NAMES, within
from dlkit.rundir import write_json
from dlkit.runs import OUTPUTS

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = OUTPUTS / "sweeps"  # where sweeps are, each in a folder of its name
REPEATS = ("seed", "data.fold", "data.split_seed")  # keys whose values are repeats of one experiment
SAMPLER = "hydra.sweeper.sampler"  # among what all jobs of a search share
HOW = re.compile(r"hydra[./](?!sweeper\.params)")  # options of Hydra's own, but for what a file of a study may hold
LONGEST = 120  # letters of a folder's name; file systems take 255 bytes


@dataclass
class Plan:
    """A sweep, as `sweep.json` in its folder holds it."""

    name: str
    time: str  # of its first start, ISO 8601 in UTC
    folder: str  # where it was started
    commands: list[list[str]]  # that made it, behind `dlkit train -m`
    fixed: dict[str, str]  # options that all jobs share
    swept: dict[str, list[str]]  # every value ever asked for, in that order
    jobs: list[dict[str, Any]] = field(default_factory=list)  # name, and swept options (overrides) of each

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        """The plan of the sweep in this folder, None where there is none."""
        try:
            content = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
            return cls(**content)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        write_json(asdict(self), folder / "sweep.json")

    def name_of(self, overrides: Sequence[str]) -> str:
        """The name of the job with these options, `key=value` each."""
        return job_name(self.swept_of(overrides))

    def swept_of(self, overrides: Sequence[str]) -> dict[str, str]:
        """Those of the options that are swept."""
        given = dict(split(text) for text in overrides)
        return {key: given[key] for key in self.swept if key in given}

    def add(self, *jobs: Sequence[str]) -> None:
        """Notes jobs, by their options, and the values they have, unless they are known."""
        names = {job["name"] for job in self.jobs}
        values = {key: dict.fromkeys(known) for key, known in self.swept.items()}
        for swept in map(self.swept_of, jobs):
            for key, value in swept.items():
                values[key][value] = None
            if (name := job_name(swept)) not in names:
                names.add(name)
                self.jobs.append({"name": name, "overrides": swept})
        self.swept = {key: list(known) for key, known in values.items()}


def opened(folder: Path, command: Sequence[str], fixed: Mapping[str, str], swept: Sequence[str]) -> Plan:
    """The plan of a new sweep, or that of the folder to go on with.

    Raises ValueError where the folder has a sweep of other options, whose jobs' names would not tell them apart, or one
    that cannot be read, whose jobs would be forgotten.
    """
    plan = Plan.read(folder)
    if plan is None and (folder / "sweep.json").exists():
        raise ValueError(f"{folder}: its sweep.json cannot be read; restore it, or take another name, sweep=NAME")
    if plan is None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        here = str(Path.cwd())
        return Plan(folder.name, now, here, [list(command)], dict(fixed), {key: [] for key in swept})
    if set(plan.swept) != set(swept):
        there, here = ", ".join(plan.swept), ", ".join(swept)
        raise ValueError(f"{folder}: is a sweep over {there}, this is one over {here}; take another name, sweep=NAME")
    for key in (key for key in {*plan.fixed, *fixed} if plan.fixed.get(key) != fixed.get(key)):
        if not within(key, (*MACHINE, *NAMES)):
            raise ValueError(
                f"{folder}: is a sweep with {key}={plan.fixed.get(key, '(its default)')}, this one has "
                f"{key}={fixed.get(key, '(its default)')}; take another name, sweep=NAME"
            )
    plan.fixed = dict(fixed)
    plan.commands = [*(one for one in plan.commands if asks(one) != asks(command)), list(command)]
    return plan


def asks(command: Sequence[str]) -> list[str]:
    """What a command asks for, but for how and where it is run."""
    return [word for word in command if not within(split(word)[0], (*MACHINE, *NAMES)) and not HOW.match(word)]


def split(override: str) -> tuple[str, str]:
    """Key and value of `key=value`, `+key=value` or `~key`."""
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value if not key.startswith("~") else "(deleted)"


def job_name(swept: Mapping[str, str]) -> str:
    """The folder's name of a job, made from its swept options: the same for the same ones, whatever else is swept."""
    return folder_name(",".join(f"{key}={value}" for key, value in swept.items()) or "only")


def folder_of(
    hydra: DictConfig, typed: Iterable[str], name: str | None, fixed: Mapping[str, str], swept: Sequence[str]
) -> Path:
    """Where a sweep is: in `hydra.sweep.dir` if that is among the options typed, else as `place` says."""
    if any(text.startswith("hydra.sweep.dir=") for text in typed):
        return Path(hydra.sweep.dir)
    return place(name, fixed, swept)


def place(name: str | None, fixed: Mapping[str, str], swept: Sequence[str]) -> Path:
    """The folder of the sweep with this name; None or empty: one made from its options."""
    if name and (".." in Path(name).parts or not Path(name).parts):
        raise ValueError(f"sweep={name}: must be the name of a folder in {ROOT}")
    return ROOT / (name or sweep_name(fixed, swept))


def sweep_name(fixed: Mapping[str, str], swept: Sequence[str]) -> str:
    """The folder's name of a sweep, made from what all jobs share and from what is swept."""
    named = {"search" if key == SAMPLER else key: value for key, value in fixed.items() if key not in NAMES}
    named |= {"experiment": named["experiment"].replace("/", ".")} if "experiment" in named else {}  # lectures/sparsity
    shared = ",".join(f"{key}={value}" for key, value in sorted(named.items()))
    return folder_name("-by-".join(filter(None, (shared, ",".join(swept)))) or "default")


def folder_name(text: str) -> str:
    """The text, or what of it can stand in a folder's name and 8 digits of its digest."""
    plain = re.sub(r"[^\w=.,+-]", "_", text, flags=re.ASCII)
    if plain == text and len(text) <= LONGEST and not text.startswith("."):
        return text
    return f"{plain[: LONGEST - 9].lstrip('.')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
