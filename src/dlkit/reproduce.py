"""Two runs of one config compared: where they were made, how they ended, their figures and the bits of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from dlkit import runs, runtime
from dlkit.final import digest
from dlkit.rundir import environment, load

ENDING = ("status", "step")  # of result.json: how a run ended
LAST_HOPE = (
    "nothing that a run records, so a config.yaml that was edited, code outside the repository, numbers without a seed"
)


@dataclass(frozen=True)
class Made:
    """A run that is over, as its files tell it."""

    folder: Path
    config: dict[str, Any]
    env: dict[str, Any]
    result: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Made:
        env, result = (runs.read_json(folder / name) for name in ("env.json", "result.json"))
        return cls(folder, runs.read_config(folder), env, result)

    @property
    def saved_weights(self) -> str | None:
        """The digest of last.pt's weights, of the model that was trained; None without the file of the last step."""
        try:
            content = load(self.folder / "checkpoints" / "last.pt")
            return digest(content["model"]) if content["step"] == self.result["step"] else None
        except Exception:  # missing, cut off, another's: torch raises many kinds
            return None


@dataclass(frozen=True)
class Row:
    """Something that was so then and is so now."""

    what: str
    then: str
    now: str
    same: bool


@dataclass(frozen=True)
class Verdict:
    """Whether the second run came out as the first, and the line that says so."""

    reproduced: bool
    line: str


def here(config: dict[str, Any]) -> dict[str, Any]:
    """What env.json of a run of this config will say, but for the data, which building it will tell."""
    env = environment([], runtime.choose_device(config["trainer"]["device"]), "")
    del env["data"]
    return env | {"threads": config["trainer"]["threads"] or torch.get_num_threads()}


def settings(then: dict[str, Any], now: dict[str, Any]) -> list[Row]:
    """A row for all that two env.json record; what only one of them has is left out."""
    flat = [_flat(env) for env in (then, now)]
    rows = []
    for what in (name for name in flat[0] if name in flat[1]):
        one, other = (env[what] for env in flat)
        rows.append(Row(what, _shown(what, one), _shown(what, other), one == other))
    return rows


def metrics(then: Made, now: Made) -> list[tuple[str, Any, Any]]:
    """How they ended, and every final figure: name, then, now."""
    both: list[dict[str, Any]] = [{name: made.result.get(name) for name in ENDING} for made in (then, now)]
    for place, made in zip(both, (then, now), strict=True):
        place |= made.result.get("metrics") or {}
    return [(name, both[0].get(name), both[1].get(name)) for name in dict.fromkeys([*both[0], *both[1]])]


def verdict(then: Made, now: Made, given: Sequence[str]) -> Verdict:
    """Judges by the bits of the weights; by the figures where the first run's weights are gone, or it had failed.

    `given` are the options that the second run was given besides.
    """
    what = f"reproduced{' with ' + ' '.join(given) if given else ''}: "
    differing = [name for name, one, other in metrics(then, now) if one != other]
    if then.result.get("status") == "failed" and not differing:
        return Verdict(True, f"{what}it failed at step {now.result['step']} again: {now.result['reason']}")
    weights = _weights(then, now)
    if weights and weights[0] == weights[1] and not differing:
        return Verdict(True, f"{what}the same weights to the bit")
    if not weights and not differing:
        return Verdict(True, f"{what}the same metrics; the weights of then are gone, so they were not compared")
    other = ["the weights"] if weights and weights[0] != weights[1] else []
    places = [name for name in differing if name in ENDING] or [*other, *differing]
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return Verdict(False, f"differs: {', '.join(places[:4])}{more}; likely: {'; '.join(reasons(then, now, given))}")


def reasons(then: Made, now: Made, given: Sequence[str]) -> list[str]:
    """Why two runs of one config may differ, the likely first."""
    found = [f"the options {' '.join(given)}"] if given else []
    found += [_another(row) for row in settings(then.env, now.env) if not row.same]
    if then.result.get("seed") != now.result.get("seed") and not any(word.startswith("seed=") for word in given):
        found.append(f"config.yaml was changed after the run, whose seed was {then.result.get('seed')}")
    found += _resumed(then.env)
    if stacked := then.env.get("stacked"):
        found.append(f"it was trained as one model with {stacked - 1} others, which rounds and drops units otherwise")
    config = now.config
    if config["trainer"].get("max_time"):
        found.append("trainer.max_time ends a run by the clock")
    if config.get("init_from"):
        found.append(f"init_from={config['init_from']} may hold other weights now")
    if now.env.get("device") != "cpu" and not config["trainer"]["deterministic"]:
        found.append("a GPU adds in any order, trainer.deterministic=true fixes it")
    return found or [LAST_HOPE]


def settings_table(rows: Sequence[Row]) -> Table:
    """What was so then and is so now."""
    table = _table("then", "now", "")
    for row in rows:
        table.add_row(row.what, row.then, row.now, "same" if row.same else "differs")
    return table


def metrics_table(then: Made, now: Made) -> Table:
    """The final figures with their differences, now − then."""
    table = _table("then", "now", "difference")
    for name, one, other in metrics(then, now):
        both = isinstance(one, int | float) and isinstance(other, int | float)
        difference = "same" if one == other else f"{other - one:+.3g}" if both else "differs"
        table.add_row(name, *(_figure(value) for value in (one, other)), difference)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", *columns):
        table.add_column(column, overflow="fold")
    return table


def _flat(env: dict[str, Any]) -> dict[str, Any]:
    """What is compared of an env.json, by name."""
    git = env.get("git") or {}
    named = {"commit": git.get("commit"), "uncommitted changes": git.get("diff") or None, "python": env.get("python")}
    rest = {name: env[name] for name in ("platform", "device", "threads", "data") if name in env}
    return {**named, **(env.get("versions") or {}), **rest}


def _shown(what: str, value: Any) -> str:
    if value is None:
        return "none"
    if what == "uncommitted changes":
        return f"{value.count(chr(10))} lines"
    return str(value)[:12] if what in ("commit", "data") else str(value)


def _another(row: Row) -> str:
    if row.what in ("data", "uncommitted changes", "threads"):
        return f"other {row.what}"
    return f"another {row.what}" + (f" ({row.then} then)" if row.what not in ("commit", "platform") else "")


def _resumed(env: dict[str, Any]) -> Iterator[str]:
    """Of a run in several parts, what was not the same in all of them."""
    for part in env.get("resumed", ()):
        changed = [row.what for row in settings(env, part) if not row.same]
        if what := " ".join([*part.get("arguments", ()), *(f"with another {name}" for name in changed)]):
            yield f"it was resumed at step {part.get('step')}, {what}, and config.yaml holds from the start now"


def _weights(then: Made, now: Made) -> tuple[str, str] | None:
    """The digests of the final weights; of last.pt's where the first run recorded none; None where that is gone."""
    recorded = [made.result.get("digest") for made in (then, now)]
    found = recorded if all(recorded) else [made.saved_weights for made in (then, now)]
    return (found[0], found[1]) if found[0] and found[1] else None


def _figure(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
