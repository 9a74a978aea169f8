"""Pages of the documentation that are made from what they describe: commands, config files, docstrings.

A hook of mkdocs (`mkdocs.yml`); nothing is written into `docs/`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dlkit.cli import COMMANDS, help
from dlkit.cli.preflight.signatures import Parameter, TargetError, signature
from dlkit.cli.preflight.values import expected
from dlkit.settings import GROUPS, NODES, SHARED, config_folder

PYTHON = {  # what a project of one's own imports
    "From a script or a notebook": [
        "dlkit.library",
        "dlkit.run.Run",
        "dlkit.trained.Trained",
        "dlkit.predict.Prediction",
    ],
    "Contracts": ["dlkit.types", "dlkit.state.State", "dlkit.callbacks.base.Callback", "dlkit.callbacks.panels.panel"],
    "Data": ["dlkit.data.examples.Examples", "dlkit.data.raw"],
    "Losses and metrics": ["dlkit.losses.Margin", "dlkit.metrics.Metric"],
    "Regularisers": ["dlkit.regularizers.Around"],
    "Figures of runs": ["dlkit.lectures.finding"],
}


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for path, text in (("commands", commands()), ("configs", configs()), ("python", python())):
        files.append(File.generated(config, f"reference/{path}.md", content=text))
    return files


def commands() -> str:
    """Every command with its own help."""
    pages = ["# Commands\n\n`dlkit COMMAND --help` says the same at the terminal.\n"]
    for name in COMMANDS:
        said = subprocess.run(
            [sys.executable, "-m", "dlkit", name, "--help"], capture_output=True, text=True, check=True
        )
        pages.append(f"## dlkit {name}\n\n```text\n{said.stdout.strip()}\n```\n")
    return "\n".join(pages)


def configs() -> str:
    """Every group, choice and key: default, range and meaning, from the YAML files and the signatures behind them."""
    folder = config_folder()
    whole = yaml.safe_load((folder / "train.yaml").read_text(encoding="utf-8"))
    pages = ["# Configs\n\n`python train.py model=cnn --help` says the same at the terminal.\n", "## The run\n"]
    general = [entry for entry in help.entries(folder / "train.yaml") if entry.value and "." not in entry.key]
    pages.append(table(general, signature("dlkit.settings.Run").parameters))
    for node in NODES:
        rows = [e for e in help.entries(folder / "train.yaml") if e.value and e.key.startswith(f"{node}.")]
        pages += [f"## {node}\n", table(rows, signature(whole[node]["_target_"]).parameters, node)]
    for group in GROUPS:
        pages.append(f"## {group}\n")
        if group in SHARED:
            rows = [e for e in help.entries(folder / "train.yaml") if e.value and e.key.startswith(f"{group}.")]
            pages += ["For every choice:\n", table(rows, signature(SHARED[group]).parameters, group)]
        for file in sorted((folder / group).rglob("[!_]*.yaml")):
            choice = file.relative_to(folder / group).with_suffix("").as_posix()
            pages += [f"### {group}={choice}\n", *of_choice(group, choice, folder)]
    return "\n".join(pages)


def of_choice(group: str, choice: str, folder: Path) -> Iterator[str]:
    """What the file says of itself, and the keys that are particular to it."""
    text = (folder / group / f"{choice}.yaml").read_text(encoding="utf-8")
    head = re.search(r"^# ([^@].*)", text, flags=re.MULTILINE)
    yield f"{head[1] if head else ''}\n"
    if text.startswith("# @package _global_"):
        yield f"```yaml\n{text.partition(chr(10))[2].strip()}\n```\n"
        return
    shared = {entry.key for entry in help.entries(folder / "train.yaml")}
    rows = [entry for entry in help.options(group, choice, [folder]) if entry.key not in shared]
    nodes = {}
    for key, target in targets(yaml.safe_load(text), group):
        try:
            nodes[key] = signature(target).parameters
        except TargetError:
            continue
    yield table(rows, {}, group, nodes)


def targets(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every `_target_` of a config with the key of its node."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield key, node["_target_"]
        for name, inner in node.items():
            yield from targets(inner, f"{key}.{name}")


def table(
    rows: list[help.Entry],
    parameters: dict[str, Parameter],
    prefix: str = "",
    nodes: dict[str, dict[str, Parameter]] | None = None,
) -> str:
    """A row for each key."""
    lines = ["| key | default | takes | |", "|---|---|---|---|"]
    for entry in rows:
        node, _, name = entry.key.rpartition(".")
        known = (nodes or {prefix: parameters}).get(node, {}).get(name)
        takes = expected(known.annotation) if known else ""
        takes = "" if takes.endswith("Any") else takes
        lines.append(f"| `{entry.key}` | `{entry.value}` | {_cell(takes)} | {_cell(entry.comment)} |")
    return "\n".join(lines) + "\n" if rows else "No options of its own.\n"


def _cell(text: str) -> str:
    return re.sub(r"([|<*_])", r"\\\1", text)


def python() -> str:
    pages = ["# Python\n\nWhat a script, a notebook or a project of your own imports.\n"]
    for title, names in PYTHON.items():
        pages.append(f"## {title}\n")
        pages += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(pages)
