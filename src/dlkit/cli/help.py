"""The page behind `--help`: groups, choices and options, read from the YAML files and the comments in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dlkit.settings import GROUPS, program

HYDRAS = ("hydra/launcher", "hydra/sweeper")  # groups of Hydra's own for which dlkit has choices
WIDTH = 100
USEFUL = (
    "data.batch_size",
    "model.hidden",
    "model.dropout",
    "optim.lr",
    "scheduler.warmup_steps",
    "trainer.epochs",
    "trainer.max_steps",
    "trainer.device",
    "trainer.dtype",
    "callbacks.early_stop.patience",
    "final.weights",
    "seed",
    "run_dir",
    "dry_run",
)
ENTRY = re.compile(r"^(?P<indent> *)(?P<key>[\w.]+):\s*(?P<value>[^#]*?)\s*(?:#\s*(?P<comment>.*))?$")

BASE = re.compile(r"^(?:defaults: *\[| *- )(_\w+)", flags=re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """An option as its file writes it."""

    key: str  # with dots
    value: str  # of the default; empty for a node
    comment: str


def show(overrides: list[str], config_dir: Path, extra: str | None = None) -> None:
    """Prints the page; with `group=choice` among the overrides, the options of those choices instead.

    `extra` is the folder of `--config-dir`.
    """
    folders = [config_dir, *([Path(extra)] if extra else [])]
    pairs = [override.partition("=") for override in overrides]
    chosen = [(group, choice) for group, _, some in pairs if group in (*GROUPS, *HYDRAS) for choice in some.split(",")]
    chosen = [pair for pair in chosen if _files(*pair, folders)]  # not null, nor Hydra's own
    print(_choices_page(chosen, folders, program()) if chosen else page(folders, program()))


def page(folders: list[Path], command: str) -> str:
    """The page for a newcomer."""
    defaults = default_choices(folders[0])
    return f"""Trains a model as its config says, and writes what happened into a folder of its own.
`{command}` alone trains a small network on handwritten digits in seconds.

Usage: {command} [GROUP=CHOICE ...] [KEY=VALUE ...] [-m] [--help]

Groups and their choices (* is the default)
{_groups(folders, defaults)}

Options most used, with their defaults
{_table(list(_useful(folders, defaults)))}
  All options of a choice: {command} model=cnn --help

Examples
  {command} model=cnn optim=adam data=mnist
  {command} optim=sgd optim.lr=0.1 scheduler=cosine scheduler.warmup_steps=0.1
  {command} model.hidden=[64,64] model.dropout=0.2 regularizer=l2 regularizer.gamma=1e-4
  {command} data=synthetic data.name=spirals trainer.epochs=50 dry_run=true
  {command} -m model=logreg,mlp,cnn seed=0,1,2   # a sweep: every combination, a run each

Results are in outputs/<date>/<time>-<name>/ (or run_dir=DIR), those of a sweep in outputs/sweeps/:
  config.yaml, train.log, metrics.jsonl, checkpoints/, TensorBoard's events, and result.json

More
  --config-dir DIR   adds choices of your own: DIR/model/mine.yaml gives model=mine
  ~callbacks.NAME    leaves a callback out; +KEY=VALUE adds an option that a file leaves out
  experiment=NAME    sets many options at once, or is a whole sweep; `dlkit lectures` lists more
  resume=DIR         goes on with a run; with --trust, where its config names code of your own
  --cfg job          shows the config and trains nothing; --hydra-help shows the other flags
  Tab completion in bash: eval "$({command} -sc install=bash)\""""


def default_choices(config_dir: Path) -> dict[str, str]:
    """The choice of each group that train.yaml makes."""
    text = (config_dir / "train.yaml").read_text(encoding="utf-8")
    return dict(re.findall(r"^ +- (\w+): (\w+)", text, flags=re.MULTILINE))


def entries(file: Path, before: str = "") -> Iterator[Entry]:
    """The options of a YAML file in their order, with the comments behind them; of a global one under whole keys."""
    if file.read_text(encoding="utf-8").startswith("# @package _global_"):
        before = ""
    above: list[tuple[int, str]] = []  # the nodes that are open, by indentation
    for line in file.read_text(encoding="utf-8").splitlines():
        if not (match := ENTRY.match(line)) or match["key"].startswith("_") or match["key"] == "defaults":
            continue
        depth = len(match["indent"])
        above = [node for node in above if node[0] < depth]
        key = ".".join([*([before] if before else []), *(name for _, name in above), match["key"]])
        above.append((depth, match["key"]))
        yield Entry(key, match["value"], match["comment"] or "")


def options(group: str, choice: str, folders: list[Path]) -> list[Entry]:
    """The options of a group with this choice: what train.yaml says for every choice, then the choice's file."""
    general = [entry for entry in entries(folders[0] / "train.yaml") if entry.key.startswith(f"{group}.")]
    merged = {entry.key: entry for entry in general}
    file = _file(group, choice, folders)
    before = group.replace("/", ".")
    bases = [entries(base, before) for base in _bases(file, folders)]
    for entry in chain(*bases, entries(file, before)):
        comment = entry.comment or (merged[entry.key].comment if entry.key in merged else "")
        merged[entry.key] = Entry(entry.key, entry.value, comment)
    return [entry for entry in merged.values() if entry.value]


def _bases(file: Path, folders: list[Path]) -> list[Path]:
    """The files beside it that a choice builds on: those of its defaults list whose names begin with `_`."""
    text = file.read_text(encoding="utf-8")
    names = [name for name in BASE.findall(text) if name != "_self_"] if "defaults:" in text else []
    return [_file(file.parent.name, name, folders) for name in names]


def _file(group: str, choice: str, folders: list[Path]) -> Path:
    return _files(group, choice, folders)[0]


def _files(group: str, choice: str, folders: list[Path]) -> list[Path]:
    files = [folder / group / f"{choice.removesuffix('.yaml')}.yaml" for folder in folders]
    return [file for file in files if file.is_file()]


def _groups(folders: list[Path], defaults: dict[str, str]) -> str:
    lines = []
    for group in GROUPS:
        names = {file.stem for folder in folders for file in (folder / group).glob("[!_]*.yaml")}
        words = [f"*{name}" if name == defaults.get(group) else name for name in sorted(names)]
        words += sorted(
            {f"{file.parent.name}/…" for folder in folders for file in (folder / group).glob("*/[!_]*.yaml")}
        )
        lines += textwrap.wrap(" ".join(words), WIDTH, initial_indent=f"  {group:<14}", subsequent_indent=" " * 16)
    return "\n".join(lines)


def _useful(folders: list[Path], defaults: dict[str, str]) -> Iterator[Entry]:
    known = {entry.key: entry for entry in entries(folders[0] / "train.yaml")}
    for group, choice in defaults.items():
        if group in GROUPS and choice != "null":
            known |= {entry.key: entry for entry in options(group, choice, folders)}
    for key in USEFUL:
        if key in known:  # of a long comment the first part
            yield Entry(key, known[key].value, textwrap.shorten(known[key].comment.split(";")[0], 62, placeholder=" …"))


def _table(rows: list[Entry]) -> str:
    left = [f"{row.key}={row.value}" for row in rows]
    width = min(max(map(len, left), default=0), 40)
    lines: list[str] = []
    for text, row in zip(left, rows, strict=True):
        indent = " " * (width + 4)
        lines += textwrap.wrap(row.comment, WIDTH, initial_indent=f"  {text:<{width}}  ", subsequent_indent=indent) or [
            f"  {text}"
        ]
    return "\n".join(lines)


def _choices_page(chosen: list[tuple[str, str]], folders: list[Path], command: str) -> str:
    parts = []
    for group, choice in chosen:
        file = _file(group, choice, folders)
        rows = options(group, choice, folders)
        head = re.search(r"^# ([^@].*)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        parts.append(f"{group}={choice}: {head[1] if head else ''}\n{_table(rows) or '  no options'}")
    return "\n\n".join([*parts, f"Everything else: {command} --help"])
