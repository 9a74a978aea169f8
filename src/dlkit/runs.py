"""Run directories on disk: finding them, and what their files say. Imports no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from dlkit.settings import NODES, SHARED, config_folder

if TYPE_CHECKING:
    from rich.table import Table

OUTPUTS = Path("outputs")  # where runs are made unless run_dir says otherwise


def find(run: str | Path) -> Path:
    """The folder of a run: itself, or what is unique of its path under `outputs`, its end or else any part of it;
    `latest` is the newest there. Raises ValueError where there is none, or more than one."""
    if str(run) == "latest":
        newest = max(all_runs(OUTPUTS), key=begun, default=None)
        if newest is None:
            raise ValueError(f"latest: there is no run under {OUTPUTS.absolute()}")
        return newest
    folder = Path(run).expanduser()
    if (folder / "config.yaml").is_file():
        return folder
    if folder.exists():
        inside = f", but there are some inside: `dlkit list {run}`" if any(all_runs(folder)) else ""
        raise ValueError(f"{run}: there is no run, a run's folder holds config.yaml{inside}")
    siblings = {path.parent.name: str(path.parent) for path in folder.parent.glob("*/config.yaml")}
    if close := get_close_matches(folder.name, siblings, n=1):
        raise ValueError(f"{run}: there is no run, no such folder; did you mean {siblings[close[0]]}?")
    return _named(str(run).strip("/"))


def _named(text: str) -> Path:
    """The only run under `outputs` whose path ends with the text, or has it."""
    paths = {folder.as_posix(): folder for folder in all_runs(OUTPUTS)}
    fits = [path for path in paths if path.endswith(text)] or [path for path in paths if text in path]
    if len(fits) == 1:
        return paths[fits[0]]
    if fits:
        newest = sorted(fits, key=lambda path: begun(paths[path]), reverse=True)
        more = f" and {len(fits) - 3} more" if len(fits) > 3 else ""
        raise ValueError(f"{text}: which run? it fits {', '.join(newest[:3])}{more}")
    names = {re.sub(r"^\d\d-\d\d-\d\d-", "", folder.name): path for path, folder in paths.items()}
    names |= {folder.name: path for path, folder in paths.items()} | {path: path for path in paths}
    close = get_close_matches(text, names, n=1)
    hint = f"did you mean {names[close[0]]}?" if close else "`dlkit list` shows what there is"
    raise ValueError(f"{text}: there is no run, no such folder; {hint}")


def all_runs(folder: Path) -> Iterator[Path]:
    """Every run's folder at any depth; hidden folders, links and what cannot be read are left out."""
    for place, inside, files in os.walk(folder):
        if "config.yaml" in files:
            yield Path(place)
            inside.clear()
        inside[:] = sorted(name for name in inside if not name.startswith("."))


def begun(folder: Path) -> str:
    """When the run began, ISO 8601 in UTC; "" where that is not recorded."""
    return str(read_json(folder / "env.json").get("time", ""))


def written_by(folder: Path) -> str:
    """What to do where a run's files do not fit: which dlkit wrote them."""
    env = read_json(folder / "env.json")
    version = (env.get("versions") or {}).get("dlkit", "of an unknown version")
    commit = (env.get("git") or {}).get("commit", "")
    at = f", in a folder at commit {commit[:10]}" if commit else ""
    return f"It was written by dlkit {version}{at}; use that one, or train again: dlkit reproduce {folder}"


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a run; empty where there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a run as plain data. Raises ValueError where no run can have written it: what a saved config says
    stands there, so references (`${…}`), which could build anything, are refused, and so are keys of Hydra's own."""
    path = folder / "config.yaml"
    try:
        text = path.read_text(encoding="utf-8")
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except Exception as error:  # YAML's own errors, OmegaConf's, and the file system's
        raise ValueError(f"{path}: cannot be read as a config: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: cannot be read as a config: it holds no keys")
    if _has_references(content):  # not the text, in which the signs could be escaped
        raise ValueError(f"{path}: has references (${{…}}), but a run saves none; it was written by something else")
    if strange := [key for key in map(str, content) if key == "defaults" or key.startswith("hydra")]:
        raise ValueError(
            f"{path}: has the key {strange[0]}, which a run does not save; it was written by something else"
        )
    return {str(key): value for key, value in content.items()}


def completed(config: dict[str, Any]) -> DictConfig:
    """The config with the defaults of options that came after it was written."""
    shipped = cast(DictConfig, OmegaConf.load(config_folder() / "train.yaml"))
    shared = {group: shipped[group] for group in (*SHARED, *NODES) if group in {*config, *NODES}}
    trainer = OmegaConf.load(config_folder() / "trainer" / "default.yaml")
    return cast(DictConfig, OmegaConf.merge(OmegaConf.create({**shared, "trainer": trainer}), config))


def _has_references(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_has_references(part) for pair in node.items() for part in pair)
    return any(map(_has_references, node)) if isinstance(node, list) else "${" in str(node)


def figures_table(result: dict[str, Any]) -> Table:
    """A row for each figure, a column for each split; the best weights beside the last where they differ."""
    from rich.table import Table

    last = {key: value for key, value in result["metrics"].items() if "/" in key}
    best = result["best"].get("metrics", {})
    best = best if best != last else {}
    splits = list(dict.fromkeys(key.partition("/")[0] for key in last))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in [*splits, *[f"{split} (best)" for split in splits if best]]:
        table.add_column(column, justify="right")
    for name in dict.fromkeys(key.partition("/")[2] for key in last):
        kinds = [last, best] if best else [last]
        table.add_row(name, *[_number(figures.get(f"{split}/{name}")) for figures in kinds for split in splits])
    return table


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
