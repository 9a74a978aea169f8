"""Fetching the publisher's files of a known set, each with its checksum."""

from __future__ import annotations

import hashlib
from http.client import HTTPException
from pathlib import Path

REMEDY = "delete it and set data.download=true, or copy it anew"


def fetch(url: str, path: Path, checksum: str, download: bool, key: str = "data.root") -> Path:
    """`path`, fetched from `url` first where it is missing and `download` is on. `checksum`: MD5 or SHA-256, in hex.

    A file that is there is taken as it is: its reader finds what is wrong with it. Raises ValueError, which names `key`
    and the address, where the file is missing, cannot be fetched, or does not have the checksum; then nothing is kept.
    """
    if path.is_file():
        return path
    if not download:
        raise ValueError(f"{path} not found; set {key} to where it is, or data.download=true to fetch {url}")
    from torchvision.datasets.utils import download_url  # here: the import costs a second

    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # of an attempt that was cut off
        download_url(url, str(path.parent), part.name)
        _check(part, checksum)
        part.replace(path)
    except (OSError, RuntimeError, HTTPException) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} could not be fetched from {url}: {cause}. Copy it there, or set {key}") from error
    finally:
        if part.is_file():
            part.unlink()
    return path


def _check(path: Path, checksum: str) -> None:
    """Raises OSError where the file's is another one."""
    name = "md5" if len(checksum) == 32 else "sha256"
    found = hashlib.new(name, path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != checksum:
        raise OSError(f"its {name} is {found}, expected {checksum}")
