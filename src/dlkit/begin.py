"""Where a single run begins: in a new folder, or where an earlier one stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlkit.settings import leaves

# What may change when `resume=auto` goes on: how long, on what machine, what watches, what only names the run, and what
# comes after training.
LENGTH = ("trainer.epochs", "trainer.max_steps", "trainer.max_time", "callbacks")
FILES = ("data.root", "data.download", "data.workers", "data.cache", "data.cache_limit")
RUNNING = ("device", "capture", "threads", "save_every", "allocator", "profile")
MACHINE = (*(f"trainer.{name}" for name in RUNNING), *FILES)
NAMES = ("name", "tags", "sweep", "run_dir", "debug")  # what only names the run, or shows more
FREE = (*LENGTH, *MACHINE, *NAMES, "resume", "init_from", "dry_run", "final")


@dataclass(frozen=True)
class Start:
    """A run to begin or to go on with."""

    config: DictConfig
    folder: Path
    resumes: bool = False  # from checkpoints/last.pt
    ended: str = ""  # why there is nothing to do


def start(cfg: DictConfig, choices: dict[str, str]) -> Start:
    """Decides where to begin. Raises ValueError where that cannot be. Writes nothing."""
    if cfg.resume is None:
        return Start(cfg, _new_folder(cfg, choices))
    if cfg.resume == "auto" and cfg.run_dir is None:
        raise ValueError("resume=auto: needs run_dir=DIR, the folder to go on in or to start in")
    folder = _checked_folder("run_dir", cfg.run_dir) if cfg.resume == "auto" else Path(cfg.resume)
    saved = (folder / "checkpoints" / "last.pt").is_file()
    if not saved and cfg.resume == "auto":
        return Start(_plain(cfg), folder)
    if not saved:
        raise ValueError(f"resume={folder}: nothing was saved there yet; start again with run_dir={folder} resume=auto")
    changed = _changes(cfg, folder)
    if cfg.resume == "auto" and (strange := [key for key in changed if not within(key, FREE)]):
        raise ValueError(_another_config(folder, changed, strange))
    cfg = _plain(cfg)
    cfg.run_dir = str(folder)
    prolonged = any(within(key, LENGTH) for key in changed)
    return Start(cfg, folder, resumes=True, ended="" if prolonged else _ended(folder))


def _plain(cfg: DictConfig) -> DictConfig:
    """The config as it is saved: without the way in which the run was begun."""
    cfg = cfg.copy()
    cfg.resume = None
    return cfg


def _changes(cfg: DictConfig, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ from those saved in the folder: there, here."""
    old = dict(leaves(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=True)))
    new = dict(leaves(OmegaConf.to_container(cfg, resolve=True)))
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _another_config(folder: Path, changed: dict[str, tuple[Any, Any]], strange: list[str]) -> str:
    shown = ", ".join(f"{key} ({changed[key][0]} there, {changed[key][1]} here)" for key in strange[:3])
    more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
    return f"run_dir={folder}: holds a run of another config: {shown}{more}; take another run_dir"


def within(key: str, keys: tuple[str, ...]) -> bool:
    """Whether the option is one of these, or stands in one of these nodes."""
    return any(key == one or key.startswith(one + ".") for one in keys)


def _ended(folder: Path) -> str:
    """How the run of this folder ended, if it did."""
    path = folder / "result.json"
    result = json.loads(path.read_text()) if path.is_file() else {}
    if result.get("status") not in ("finished", "stopped"):
        return ""
    why = f" ({result['reason']})" if result["reason"] else ""
    return f"{folder}: {result['status']} already, at step {result['step']}{why}; prolong it with trainer.epochs=…"


def _new_folder(cfg: DictConfig, choices: dict[str, str]) -> Path:
    """The user's folder, which must not hold a run yet, or one named after time and task."""
    if cfg.run_dir is not None:
        folder = _checked_folder("run_dir", cfg.run_dir)
        if (folder / "config.yaml").exists():
            raise ValueError(
                f"run_dir={folder}: there is a run already; go on with resume={folder}, or take another folder"
            )
        return folder
    name = cfg.name or f"{choices['model']}-{choices['data']}"
    if "/" in name or name.startswith("."):
        raise ValueError(f"name={name}: is part of a folder's name and cannot hold / or begin with a dot")
    now = datetime.now()
    return Path("outputs") / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{name}"


def _checked_folder(key: str, text: str) -> Path:
    if not text.strip():
        raise ValueError(f"{key}=: is empty; name a folder, or leave it out")
    if Path(text).is_file():
        raise ValueError(f"{key}={text}: is a file; name a folder")
    return Path(text)
