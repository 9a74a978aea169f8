"""Pages of the documentation that are made from what they describe: commands, config files, docstrings.

A hook of mkdocs (`mkdocs.yml`); nothing is written into `docs/`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from html import escape
from operator import or_
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import hydra_plugins.dlkit_sweeps as plugins
from dlkit.cli import COMMANDS, help
from dlkit.cli.preflight.nodes import RUN, shared
from dlkit.cli.preflight.signatures import Parameter
from dlkit.cli.preflight.targets import signature
from dlkit.cli.preflight.values import expected
from dlkit.settings import GROUPS, NODES, config_folder

Options = dict[str, dict[str, Parameter]]  # what may stand in the nodes of a config, by their keys
MARKUP = re.compile(r"([|*_{\[])")
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
CONFIGS = """# Configs

Every group is a folder under `configs/`, every choice a file in it: `optim=adam` takes `configs/optim/adam.yaml`, and
`optim.lr=0.01` changes a number in it. The first table of a group holds for all of its choices. What a key *takes* is
checked before anything is built. `python train.py model=cnn --help` says the same at the terminal.
"""


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
    rows = [entry for entry in help.entries(folder / "train.yaml") if not entry.key.startswith("hydra")]
    takes = {"": signature(RUN).parameters} | dict(options("", plain(folder / "train.yaml")))
    top = [entry for entry in rows if entry.value and "." not in entry.key]
    pages = [CONFIGS, "## The run\n", table(top, takes)]
    for group in (*NODES, *GROUPS, *help.HYDRAS):
        pages.append(f"## {group}\n")
        if general := [entry for entry in rows if entry.key.startswith(f"{group}.")]:
            pages.append(table(general, takes))
        for file in sorted((folder / group).rglob("*.yaml")):
            pages += of_choice(folder, group, file.relative_to(folder / group).with_suffix("").as_posix())
    return "\n".join(pages)


def of_choice(folder: Path, group: str, choice: str) -> Iterator[str]:
    """What the file says of itself, what it builds on and brings, and the keys that stand in it."""
    text = (folder / group / f"{choice}.yaml").read_text(encoding="utf-8")
    comments = re.match(r"(?:#.*\n)+", text)[0]  # type: ignore[index]
    head = " ".join(line.lstrip("# ") for line in comments.splitlines() if "@package" not in line)
    title = f"{group}/{choice}.yaml" if choice.startswith("_") else f"{group}={choice}"
    yield f"### {title} {{#{anchor(group, choice)}}}\n\n{escaped(head)}\n"
    if group == "experiment":
        yield f"```yaml\n{text.removeprefix(comments).strip()}\n```\n"
        return
    defaults = [one for one in plain(folder / group / f"{choice}.yaml").get("defaults", []) if one != "_self_"]
    bases = [one for one in defaults if isinstance(one, str)]
    brings = [f"`{key.rpartition('/')[2]}={name}`" for one in defaults if one not in bases for key, name in one.items()]
    if bases:
        yield f"With all of {', '.join(f'[{name}](#{anchor(group, name)})' for name in bases)}.\n"
    if brings:
        yield f"Brings {', '.join(brings)}; what the command line or an experiment chooses wins.\n"
    yield table(*keys(folder, group, [*bases, choice]))


def anchor(group: str, choice: str) -> str:
    return f"{group}-{choice}".replace("/", "-")


def keys(folder: Path, group: str, names: list[str]) -> tuple[list[help.Entry], Options]:
    """The keys of the last of these files, explained there or in one before, and what they take."""
    files = [folder / group / f"{name}.yaml" for name in names]
    prefix = "" if "@package _global_" in files[-1].read_text(encoding="utf-8") else group.replace("/", ".")
    explained = {entry.key: entry.comment for entry in help.entries(folder / "train.yaml")}
    for file in files:
        rows = list(help.entries(file, prefix))
        explained |= {entry.key: entry.comment for entry in rows if entry.comment}
    whole: Any = OmegaConf.to_container(OmegaConf.merge(*map(plain, files)))
    whole.pop("defaults", None)
    takes = dict(options(prefix, whole))
    shown = [entry for entry in rows if entry.value or (entry.comment and "." in entry.key)]
    return [replace(entry, comment=explained.get(entry.key, "")) for entry in shown], takes


def plain(file: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(file))


def options(key: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Parameter]]]:
    """Every node that is built from a config, and what may stand in it."""
    targets = [node["_target_"]] if "_target_" in node else []
    targets += shared(key, node).values() if key in GROUPS else []
    if targets:
        yield key, reduce(or_, map(signature, map(real, targets))).parameters
    for name, inner in node.items():
        if isinstance(inner, dict):
            yield from options(f"{key}.{name}".lstrip("."), inner)


def real(target: str) -> str:
    """A plugin for Hydra stands for another class, which has the options."""
    module, _, name = target.rpartition(".")
    return getattr(plugins, name).target if module == plugins.__name__ else target


def table(rows: list[help.Entry], takes: Options) -> str:
    """A row for each key; a callback or other node without a value of its own has a row for what it is."""
    if not rows:
        return "No options of its own.\n"
    lines = ["| key | default | takes | what it is |", "|---|---|---|---|"]
    for entry in rows:
        node, _, name = entry.key.rpartition(".")
        known = takes.get(node, {}).get(name) if entry.value else None
        default = "to be given" if entry.value == "???" else f"`{entry.value}`" if entry.value else ""
        wanted = expected(known.annotation) if known else ""
        lines.append(f"| `{entry.key}` | {default} | {escaped(wanted)} | {escaped(entry.comment)} |")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Plain words for Markdown; what stands in backticks stays as it is."""
    parts = re.split("(`[^`]*`)", text)
    return "".join(part if i % 2 else MARKUP.sub(r"\\\1", escape(part, quote=False)) for i, part in enumerate(parts))


def python() -> str:
    pages = ["# Python\n\nWhat a script, a notebook or a project of your own imports.\n"]
    for title, names in PYTHON.items():
        pages.append(f"## {title}\n")
        pages += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(pages)
