"""The run directory: its files, each written whole or not at all, and the record of where a run came from."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import UnpicklingError
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any

from dlkit import __version__, dist

if TYPE_CHECKING:  # who only writes a text, or holds a lock, does not wait for torch
    import torch

PACKAGES = ("torch", "torchvision", "numpy", "hydra-core", "omegaconf", "scikit-learn", "tensorboard")
ASKING = 0.2  # seconds in which a lock may be held by who only asks whether it is


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to, and renames it: an older file stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save(content: dict[str, Any], path: Path) -> None:
    """Saves tensors and plain data, to be read by `load`. Of several processes the first does."""
    if dist.rank() > 0:
        return
    import torch

    with whole(path) as temporary:
        torch.save(_own(content), temporary)


def _own(value: Any) -> Any:
    """The value with copies of those tensors that are part of larger ones, which torch would save as a whole."""
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_own, value))
    is_part = hasattr(value, "untyped_storage") and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_part else value


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Reads what `save` wrote. Runs no code from the file. Raises ValueError where it cannot be read."""
    import torch

    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many kinds for what is cut off, or is no checkpoint
        why = str(error).split("\n")[0]
        if isinstance(error, UnpicklingError):  # torch's message says how to load it all the same
            why = "it is damaged, or holds other things than tensors and plain data, which could be code"
        raise ValueError(f"{path}: no checkpoint that can be read: {why}") from error
    return content


def write_text(text: str, path: Path) -> None:
    """Of several processes the first does."""
    if dist.rank() > 0:
        return
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(content: Any, path: Path) -> None:
    write_text(json.dumps(plain(content), indent=2) + "\n", path)


def plain(value: Any) -> Any:
    """The value with numbers that are not finite as None, which every reader of JSON takes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other process out of the folder. Raises ValueError where one is at work in it."""
    path = folder / ".lock"
    with _lock(path) as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock(path: Path) -> IO[str]:
    """The file, locked until it is closed or its process ends. Raises ValueError where another process holds it."""
    until = monotonic() + ASKING
    while True:
        file = path.open("a+", encoding="utf-8")
        if _locks(file) and _is_at(path, file):  # else who held it has removed the file, and another may stand there
            return file
        file.seek(0)
        holder = file.read() or "?"
        file.close()
        if monotonic() > until:
            raise ValueError(f"{path.parent}: process {holder} is at work there; wait for it, or end it")
        sleep(0.01)


def _locks(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # not on Windows, where two processes in one folder are the user's care
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def shown(path: str | Path) -> str:
    """The path as it is typed here: relative where it lies below."""
    whole, here = Path(path).absolute(), Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else path)


def remove_empty(folder: Path) -> None:
    """Removes the folder and the parents below the working folder that are empty with it."""
    root = Path.cwd().resolve()
    for place in (folder.resolve(), *folder.resolve().parents):
        if place == root or root not in (place, *place.parents):
            return
        try:
            place.rmdir()
        except OSError:  # not empty, or not there
            return


def environment(arguments: list[str], device: torch.device, data_fingerprint: str) -> dict[str, Any]:
    """Where a run came from: commit and dirty diff, versions, device, threads, arguments, a digest of the data."""
    import torch

    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "git": git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {"dlkit": __version__} | {name: _version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "processes": dist.world(),
        "data": data_fingerprint,
    }


def git_state() -> dict[str, str | None] | None:
    """Commit, uncommitted changes and untracked files of the repository around the working folder; None without one."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    diff, untracked = (
        _git("diff", "--no-ext-diff", "--no-color", "HEAD"),
        _git("ls-files", "--others", "--exclude-standard"),
    )
    return {"commit": commit.strip(), "diff": diff, "untracked": untracked}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace", timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # no git here
        return None
    return done.stdout if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
