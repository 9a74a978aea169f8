"""A sweep made of runs that nobody planned together: what differs between their configs was swept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from dlkit import records
from dlkit.begin import NAMES, within
from dlkit.records import Record
from dlkit.settings import GROUPS, as_text, leaves
from dlkit.sweeps.plan import REPEATS
from dlkit.sweeps.report.read import Sweep, job

Values = dict[str, str]  # every choice and every leaf of a config, as text
NOT_SWEPT = (*NAMES, "resume", "dry_run", "callbacks.prune")  # they say nothing of what was trained


def gathered(folder: Path, found: Iterable[Path]) -> Sweep:
    """The runs as the jobs of a sweep, in the order in which they began."""
    runs = sorted((records.read(run) for run in found), key=lambda run: str(run.env.get("time", "")))
    values = [_values(run) for run in runs]
    keys = _swept(values, set().union(*map(_typed, runs)))
    given = [{key: one.get(key, "") for key in keys} for one in values]
    return Sweep(
        name=folder.resolve().name,
        folder=folder,
        time=str(runs[0].env.get("time", "")),
        commands=[],
        fixed={},
        swept={key: _ordered([one[key] for one in given]) for key in keys},
        jobs=[job(_name(run, folder), run.folder, one) for run, one in zip(runs, given, strict=True)],
        planned=False,
    )


def _name(run: Record, folder: Path) -> str:
    return run.folder.relative_to(folder).as_posix()


def _values(run: Record) -> Values:
    config = {key: as_text(value) for key, value in leaves(run.config) if not within(key, NOT_SWEPT)}
    return config | {group: str(choice) for group, choice in run.choices.items()}


def _typed(run: Record) -> set[str]:
    """The keys on the command line of the run."""
    words = run.env.get("arguments")
    return {str(word).partition("=")[0].lstrip("+") for word in words} if isinstance(words, list) else set()


def _swept(values: list[Values], typed: Collection[str]) -> list[str]:
    """The keys that tell the runs apart: choices, options that differ where the choices are the same, then repeats.

    Another model has other options and may bring a loss of its own, which were not swept: choices count only where
    they were typed, if any was.
    """
    chosen = [group for group in GROUPS if _differs(values, group)]
    chosen = [group for group in chosen if group in typed] or chosen
    by_choice: dict[tuple[str | None, ...], list[Values]] = {}
    for one in values:
        by_choice.setdefault(tuple(one.get(group) for group in chosen), []).append(one)
    keys = dict.fromkeys(key for one in values for key in one if key not in (*chosen, *REPEATS))
    options = [key for key in keys if any(_differs(part, key) for part in by_choice.values())]
    return [*chosen, *options, *(key for key in REPEATS if _differs(values, key))]


def _differs(values: list[Values], key: str) -> bool:
    return len({one.get(key) for one in values}) > 1


def _ordered(values: list[str]) -> list[str]:
    """Each once: numbers by size, else as they came."""
    distinct = list(dict.fromkeys(values))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct
