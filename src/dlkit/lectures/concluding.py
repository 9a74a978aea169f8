"""The end of a run or a sweep whose config names a figure: it is drawn, and its claim is checked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from rich.table import Table

from dlkit.lectures.finding import Done, Finding
from dlkit.log import log
from dlkit.plots.style import save
from dlkit.rundir import write_json
from dlkit.runs import read_json

OVER = ("finished", "stopped")

Draw = Callable[[Sequence[Done]], Finding]


def conclude(folder: Path) -> dict[str, Any] | None:
    """Draws figure.png and figure.svg of the run or the sweep in the folder, prints the checks and writes finding.json,
    whose content it returns; None where the config names no figure or a run is not over.

    The function gets the runs of one seed at a time, in the order of the sweep; the picture is that of the least seed,
    the claim has to hold for every one. Raises ValueError where the config's `figure` names no function, or that of a
    lecture whose runs these are not.
    """
    places = [folder] if (folder / "config.yaml").is_file() else _jobs(folder)
    runs = [Done(place) for place in places]
    name = runs[0].config.get("figure") if runs else None
    if not name or any(run.result.get("status") not in OVER for run in runs):
        return None
    draw = function(name)
    found = {seed: _drawn(draw, [run for run in runs if run.config["seed"] == seed]) for seed in _seeds(runs)}
    first = next(iter(found.values()))
    for ending in ("png", "svg"):
        save(first.figure, folder / f"figure.{ending}")
    finding = {
        "figure": name,
        "claim": claim(draw),
        "holds": all(check.holds for one in found.values() for check in one.checks),
        "checks": [
            {"what": rows[0].what, "expected": rows[0].expected, "values": dict(zip(found, values, strict=True))}
            | {"holds": all(row.holds for row in rows)}
            for rows in zip(*(one.checks for one in found.values()), strict=True)
            for values in [[row.value for row in rows]]
        ],
    }
    write_json(finding, folder / "finding.json")
    _tell(finding, folder)
    return finding


def function(name: str) -> Draw:
    """The function of this name, `package.module.function`. Raises ValueError where there is none."""
    module, _, last = name.rpartition(".")
    try:
        return cast(Draw, getattr(importlib.import_module(module), last))
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"figure={name}: no such function: {error}") from error


def claim(draw: Draw) -> str:
    """The first sentence of what the function's module says."""
    return (importlib.import_module(draw.__module__).__doc__ or "").strip().partition("\n")[0]


def _drawn(draw: Draw, runs: Sequence[Done]) -> Finding:
    """What the function finds in these runs. A lecture's knows the values of its own sweep only."""
    try:
        return draw(runs)
    except Exception as error:
        package, _, name = draw.__module__.rpartition(".")
        if package != "dlkit.lectures":
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(
            f"figure={draw.__module__}.{draw.__name__}: cannot draw these runs ({reason}); it is made for those of "
            f"experiment=lectures/{name}: change other options, or draw with a changed copy of its file"
        ) from error


def _jobs(folder: Path) -> list[Path]:
    """The folders of a sweep's jobs, in its order."""
    return [folder / str(job["name"]) for job in read_json(folder / "sweep.json").get("jobs", [])]


def _seeds(runs: Sequence[Done]) -> list[int]:
    return sorted({run.config["seed"] for run in runs})


def _tell(finding: dict[str, Any], folder: Path) -> None:
    log.info("\n%s", finding["claim"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    seeds = list(finding["checks"][0]["values"]) if finding["checks"] else []
    for column in ("", "expected", *(f"seed {seed}" for seed in seeds), ""):
        table.add_column(column)
    for check in finding["checks"]:
        values = [f"{check['values'][seed]:.4g}" for seed in seeds]
        table.add_row(check["what"], check["expected"], *values, "holds" if check["holds"] else "DOES NOT HOLD")
    log.info(table)
    log.info("figure  %s", folder / "figure.png")
