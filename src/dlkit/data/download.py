"""Fetching the publisher's files of a known set, each with its checksum."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path


def fetch(url: str, path: Path, md5: str, download: bool, key: str = "data.root") -> Path:
    """`path`, fetched from `url` first where it is missing and `download` is on.

    A file that is there is taken as it is: its reader finds what is wrong with it. Raises ValueError, which names `key`
    and the address, where the file is missing, cannot be fetched, or does not have the checksum.
    """
    if path.is_file():
        return path
    if not download:
        raise ValueError(f"{path} not found; set {key} to where it is, or data.download=true to fetch {url}")
    from torchvision.datasets.utils import download_url  # here: the import costs a second

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download_url(url, str(path.parent), path.name, md5)
    except (OSError, RuntimeError, HTTPException) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} could not be fetched from {url}: {cause}") from error
    return path
