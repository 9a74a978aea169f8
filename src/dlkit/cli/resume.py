"""Where a single run begins: in a new folder, or where an earlier one stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlkit.cli import configs, preflight
from dlkit.cli.preflight import Checked

# What may change when `resume=auto` goes on: how long, on what machine, what watches, and what only names the run.
LENGTH = ("trainer.epochs", "trainer.max_steps", "trainer.max_time", "callbacks")
FREE = (*LENGTH, "trainer.device", "trainer.threads", "trainer.save_every", "trainer.allocator", "data.root",
        "data.download", "name", "tags", "run_dir", "resume", "init_from", "dry_run", "debug")  # fmt: skip


@dataclass(frozen=True)
class Start:
    """A run to begin or to go on with."""

    config: DictConfig
    folder: Path
    resumes: bool = False  # from checkpoints/last.pt
    ended: str = ""  # why there is nothing to do


def check(args: list[str]) -> Checked:
    """Judges a command line; with `resume=DIR` against the config saved in that folder, ValueError if there is none."""
    wanted = _wanted(args)
    if wanted in (None, "auto", "null"):
        return preflight.check(args, configs.folder())
    folder = Path(str(wanted))
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"resume={folder}: there is no run; a run's folder holds config.yaml")
    checked = preflight.check([arg for arg in args if not arg.startswith("resume=")], folder, "config")
    if checked.multirun:
        raise ValueError(f"resume={folder}: goes on with one run, not with a sweep; leave out -m")
    if checked.config is not None:
        checked.config.resume = str(folder)
    return checked


def start(cfg: DictConfig, overrides: list[str]) -> Start:
    """Decides where to begin, and makes the folder of a new run. Raises ValueError where that cannot be."""
    if cfg.resume is None:
        return Start(cfg, _new_folder(cfg))
    if cfg.resume != "auto":
        folder, changes = Path(cfg.resume), [text for text in overrides if not text.startswith("resume=")]
    elif cfg.run_dir is None:
        raise ValueError("resume=auto: needs run_dir=DIR, the folder to go on in or to start in")
    else:
        folder = Path(cfg.run_dir)
        if not (folder / "checkpoints" / "last.pt").is_file():
            return Start(_plain(cfg), folder)
        changes = _allowed_changes(cfg, folder)
    cfg = _plain(cfg)
    cfg.run_dir = str(folder)
    if not (folder / "checkpoints" / "last.pt").is_file():
        raise ValueError(f"resume={folder}: nothing was saved there yet; start again with run_dir={folder} resume=auto")
    return Start(cfg, folder, resumes=True, ended="" if changes else _ended(folder))


def _plain(cfg: DictConfig) -> DictConfig:
    """The config as it is saved: without the way in which the run was begun."""
    cfg = cfg.copy()
    cfg.resume = None
    return cfg


def _wanted(args: list[str]) -> str | None:
    """The value of `resume=`, before anything is composed."""
    values = [arg.partition("=")[2].strip("'\"") for arg in args if arg.startswith("resume=")]
    return values[-1] if values else None


def _allowed_changes(cfg: DictConfig, folder: Path) -> list[str]:
    """The changed keys that can prolong the run. Raises ValueError where others differ from those of the folder."""
    old = dict(_leaves(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=True)))
    new = dict(_leaves(OmegaConf.to_container(cfg, resolve=True)))
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    strange = [key for key in changed if not _within(key, FREE)]
    if strange:
        shown = ", ".join(f"{key} ({old.get(key)} there, {new.get(key)} here)" for key in strange[:3])
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise ValueError(f"run_dir={folder}: holds a run of another config: {shown}{more}; take another run_dir")
    return [key for key in changed if _within(key, LENGTH)]


def _within(key: str, keys: tuple[str, ...]) -> bool:
    return any(key == one or key.startswith(one + ".") for one in keys)


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))


def _ended(folder: Path) -> str:
    """How the run of this folder ended, if it did."""
    path = folder / "result.json"
    result = json.loads(path.read_text()) if path.is_file() else {}
    if result.get("status") not in ("finished", "stopped"):
        return ""
    why = f" ({result['reason']})" if result["reason"] else ""
    return f"{folder}: {result['status']} already, at step {result['step']}{why}; prolong it with trainer.epochs=…"


def _new_folder(cfg: DictConfig) -> Path:
    """The user's folder, which must not hold a run yet, or a new one named after time and task."""
    if cfg.run_dir is not None:
        folder = Path(cfg.run_dir)
        if (folder / "config.yaml").exists():
            line = f"run_dir={folder}: there is a run already; go on with resume={folder}, or take another folder"
            raise ValueError(line)
        return folder
    now = datetime.now()
    name = cfg.name or "-".join(str(cfg[group]["_target_"]).rpartition(".")[2] for group in ("model", "data"))
    number = 1
    while True:  # two runs started in the same second get two folders
        number_of = "" if number == 1 else f"-{number}"
        folder = Path("outputs") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{name}{number_of}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
