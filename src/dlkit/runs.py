"""Run directories on disk: finding them, and what their files say. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

OUTPUTS = Path("outputs")  # where runs are made unless run_dir says otherwise


def find(run: str | Path) -> Path:
    """The folder of a run; `latest` is the newest under `outputs`. Raises ValueError where there is none."""
    if str(run) == "latest":
        newest = max(all_runs(OUTPUTS), key=begun, default=None)
        if newest is None:
            raise ValueError(f"latest: there is no run under {OUTPUTS.absolute()}")
        return newest
    folder = Path(run).expanduser()
    if not (folder / "config.yaml").is_file():
        what = "a run's folder holds config.yaml" if folder.exists() else "no such folder"
        raise ValueError(f"{run}: there is no run, {what}; `dlkit list` shows what there is")
    return folder


def all_runs(folder: Path) -> Iterator[Path]:
    """Every run's folder at any depth."""
    if (folder / "config.yaml").is_file():
        yield folder
        return
    for inside in sorted(folder.iterdir()) if folder.is_dir() else ():
        if inside.is_dir() and not inside.is_symlink():
            yield from all_runs(inside)


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
    if "${" in text:
        raise ValueError(f"{path}: has references (${{…}}), but a run saves none; it was written by something else")
    if strange := [key for key in map(str, content) if key == "defaults" or key.startswith("hydra")]:
        raise ValueError(
            f"{path}: has the key {strange[0]}, which a run does not save; it was written by something else"
        )
    return {str(key): value for key, value in content.items()}
