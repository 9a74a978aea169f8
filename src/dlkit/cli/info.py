"""Show a run: `dlkit info latest`: what it was, how it ended, its figures, curves and files, and what to type next.

RUN is a run's folder, or a part of its path under outputs that no other has, as in `dlkit info cnn-mnist`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from shlex import join, quote
from typing import Any

from rich.console import Console
from rich.filesize import decimal

from dlkit import records, runs
from dlkit.cli import curves
from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered
from dlkit.records import HEADLINES, Record
from dlkit.trust import flag, is_allowed, targets

SHOWN = ("data", "model", "loss", "regularizer", "optim", "scheduler", "init")
LONGEST = 60  # characters of a curve


def main(args: list[str] | None = None) -> None:
    """Prints all that the files of a run say; exits with 2 where there is none."""
    parser = Parser("info", __doc__)
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help="latest, the newest, if left out")
    flags = parser.parse_args(args)
    if isinstance(sys.stdout, TextIOWrapper):  # where a terminal or a pipe has no ▁▂▃, it gets ?
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with answered():
        record = records.read(runs.find(flags.run))
        for lines in (was(record), ended(record)):
            for label, text in lines:
                console.print(f"{label:<8}{text}")
        if record.metrics:
            console.print()
            console.print(runs.figures_table({"metrics": record.metrics, "best": record.best}), soft_wrap=False)
        for title, lines_of in (("", drawn(record.folder, console.width)), ("files", files(record.folder))):
            console.print("\n" + "\n".join([title] * bool(title) + list(lines_of)))
        console.print()
        for command in following(record):
            console.print(f"next    {command}")


def was(record: Record) -> Iterator[tuple[str, str]]:
    """What was run, from what, where and when."""
    env, choices, given = record.env, record.choices, record.summary()
    yield "folder", str(record.folder)
    for problem in record.problems:
        yield "damaged", problem
    yield "run", ", ".join(f"{group} {choices[group]}" for group in SHOWN if group in choices) or "unknown"
    if given["name"]:
        yield "name", str(given["name"])
    if given["tags"]:
        yield "tags", ", ".join(map(str, given["tags"]))
    if given["seed"] is not None:
        yield "seed", str(given["seed"])
    if isinstance(env.get("arguments"), list):
        yield "typed", join(["dlkit", "train", *map(str, env["arguments"])])
    if env.get("time"):
        yield "began", local(str(env["time"]))
    for part in env.get("resumed", []):
        yield "resumed", f"at step {part.get('step'):,}, {local(str(part.get('time')))}"
    if env:
        cpus = f"{env['threads']} of {env['cpus']} CPUs" if {"threads", "cpus"} <= set(env) else ""
        yield "machine", ", ".join(str(part) for part in (env.get("device"), cpus, env.get("platform")) if part)
        yield "code", code(env)
    if strange := [f"{key}={name}" for key, name in targets(record.config) if not is_allowed(name)]:
        yield (
            "trust",
            f"{', '.join(strange)}: no part of dlkit; add --trust below if you know where this run comes from",
        )


def local(time: str) -> str:
    """A recorded moment in the time zone of this machine."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return time


def code(env: dict[str, Any]) -> str:
    """Versions, and the state of the repository in which the command was typed."""
    versions = env.get("versions") or {}
    parts = [f"{name} {versions[name]}" for name in ("dlkit", "torch") if versions.get(name)]
    parts += [f"Python {env['python']}"] if env.get("python") else []
    git = env.get("git")
    if not git:
        return ", ".join([*parts, "no git repository"])
    untracked = len(str(git.get("untracked") or "").splitlines())
    parts.append(f"commit {str(git.get('commit'))[:10]}{' with uncommitted changes' if git.get('diff') else ''}")
    return ", ".join(parts + [f"{untracked} untracked file{'s' * (untracked != 1)}"] * bool(untracked))


def ended(record: Record) -> Iterator[tuple[str, str]]:
    """How it ended or where it is, on how much data, at what cost."""
    result, env = record.result, record.env
    status = "ended without a result (killed?)" if record.status == "killed" else record.status
    where = f", step {result['step']:,} (epoch {result.get('epoch', 0):g})" if result.get("step") is not None else ""
    why = f": {result['reason']}" if result.get("reason") else ""
    yield "status", f"{status}{where}{why}"
    if result.get("seconds") is not None:
        speed = result.get("samples_per_second")
        yield "took", f"{result['seconds']:.3g} s of training" + (f", {speed:,.0f} samples/s" if speed else "")
    sizes = ", ".join(f"{split} {count:,}" for split, count in (env.get("examples") or {}).items())
    yield "data", f"{sizes + ' examples, ' if sizes else ''}fingerprint {env.get('data', 'unknown')}"
    if result.get("parameters") is not None:
        zeros = f", {100 * result['zero_weights']:.3g}% of the weights zero" if result.get("zero_weights") else ""
        of = f", measured with the {result['weights']} weights" if result.get("weights") not in (None, "last") else ""
        yield "model", f"{result['parameters']:,} parameters{zeros}{of}"
    if record.best:
        yield "best", f"{record.best['metric']} {record.best['value']:.4f} at step {record.best['step']:,}"


def drawn(folder: Path, room: int) -> Iterator[str]:
    """The curves of the losses and of what the validation split is judged by."""
    found = curves.read(folder / "metrics.jsonl")
    judged = next((f"val/{name}" for name in HEADLINES if f"val/{name}" in found), "")
    names = [name for name in dict.fromkeys(("train/loss", "val/loss", judged)) if name in found]
    texts = {name: curves.described(found[name]) for name in names}
    label = max(map(len, names), default=0) + 2
    width = max(10, min(LONGEST, room - label - 2 - max(map(len, texts.values()), default=0)))
    lines = {name: curves.sparkline(found[name], width) for name in names}
    longest = max(map(len, lines.values()), default=0)
    for name, line in lines.items():
        yield f"{name:<{label}}{line:<{longest}}  {texts[name]}"
    if not names:
        yield "no curves: metrics.jsonl holds none"


def files(folder: Path) -> Iterator[str]:
    """Files and their sizes: each of the run's own, and of every other folder how many there are."""
    sizes: dict[str, list[int]] = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and not place.name.startswith("."):
            own = len(place.parts) == 1 or place.parts[0] == "checkpoints"
            sizes.setdefault(place.as_posix() if own else f"{place.parts[0]}/", []).append(path.stat().st_size)
    longest = max(map(len, sizes), default=0)
    for name, each in sorted(sizes.items(), key=lambda item: ("/" in item[0], item[0])):
        many = f" in {len(each)} file{'s' * (len(each) != 1)}" if name.endswith("/") else ""
        yield f"  {name:<{longest}}  {decimal(sum(each)):>10}{many}"


def following(record: Record) -> Iterator[str]:
    """What to type next, as the state of the run has it."""
    folder = quote(str(record.folder))
    trusted = flag(record.config)
    saved = (record.folder / "checkpoints" / "last.pt").is_file()
    ended = record.status in ("finished", "stopped")
    if record.status == "running":
        yield f"tail -f {folder}/train.log"
    elif saved and ended:
        yield f"dlkit train resume={folder} {longer(record)}{trusted}   # prolongs it"
    elif saved:
        yield f"dlkit train resume={folder}{trusted}   # goes on at the last checkpoint"
    elif not ended:
        again = [str(word) for word in record.env.get("arguments", []) if not str(word).startswith("run_dir=")]
        yield f"{join(['dlkit', 'train', *again])} run_dir={folder} resume=auto   # starts again: nothing was saved"
    if saved:
        other = record.best.get("step", record.result.get("step")) != record.result.get("step")
        best = " --weights best" if other and record.result.get("weights") != "best" else ""
        yield f"dlkit evaluate {folder}{best}{trusted}"
        yield f"dlkit predict {folder} INPUT…{trusted}"
        yield f"dlkit export {folder} --format onnx{trusted}"
    if ended:
        yield f"dlkit reproduce {folder}{trusted}"
    if any(record.folder.glob("events.out.tfevents.*")):
        yield f"tensorboard --logdir {folder}"


def longer(record: Record) -> str:
    """The option that makes the run twice as long."""
    trainer = record.config.get("trainer") or {}
    key = next((key for key in ("max_steps", "max_time", "epochs") if trainer.get(key)), "epochs")
    length = trainer.get(key) or record.result.get("epoch") or 1
    return f"trainer.{key}={2 * length:g}"
