"""Work that is done once: tensors made from a user's files, kept in a folder of their own, never among the data."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch


def cache_folder(cache: str | None) -> Path:
    """`cache`, else `dlkit` in the user's cache folder."""
    if cache is not None:
        return Path(cache).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("dlkit")


def key(what: str, paths: Sequence[Path]) -> str:
    """A digest of `what` is done (the options) and of the files it is done to: names, sizes, times of last change."""
    digest = hashlib.sha256(f"{what}\n".encode())
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]


def cached(folder: Path, key: str, make: Callable[[], Any]) -> Any:
    """What `make` returns, tensors and plain data, from `folder/<key>.pt` where an earlier run left it.

    A damaged file is made anew. A folder that cannot be written to is warned of, and the run goes on without.
    """
    path = folder / f"{key}.pt"
    if path.is_file():
        try:
            return torch.load(path, weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError):  # cut off, or of another version
            pass
    made = make()
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(made, new)
        new.replace(path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
        why = str(error).splitlines()[0]
        warnings.warn(f"data.cache: nothing is kept in {folder} for the next run: {why}", stacklevel=2)
        if new.is_file():
            new.unlink()
    return made
