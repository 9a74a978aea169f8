"""Archives of texts, a folder a class: read in memory, or from where they are unpacked."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from dlkit.data.examples import Examples
from dlkit.data.raw import Texts
from dlkit.data.reading.cache import cache_folder, cached, key
from dlkit.data.reading.download import REMEDY, fetch

Found = dict[str, tuple[list[str], list[str]]]  # by split: texts, and the names of their classes


@dataclass(frozen=True)
class Archive:
    """A publisher's archive and where it is to be had."""

    name: str  # of the file
    folders: tuple[str, ...]  # what lies side by side where it is unpacked
    files: re.Pattern[str]  # what is read; its groups are the split and the class
    encoding: str
    url: str
    checksum: str  # MD5 or SHA-256


def read_texts(
    archive: Archive, folder: Path, download: bool, cache: str | None, change: Callable[[str], str], what: str
) -> Examples:
    """The texts in `folder`, which holds the archive or what was in it, in the order of the files' names.

    `change` is done to each, and `what` says so: an archive is read once, and its texts are kept in `cache`. Unpacked
    files are read every time. Raises ValueError where nothing is there, or the archive is damaged.
    """
    if all((folder / name).is_dir() for name in archive.folders):
        files = (
            (path.relative_to(folder).as_posix(), path.read_bytes())
            for name in archive.folders
            for path in (folder / name).rglob("*")
            if path.is_file()
        )
        return _examples(_sorted(archive, files, change), folder)
    path = fetch(archive.url, folder / archive.name, archive.checksum, download)
    place = cache_folder(cache) / "texts"
    found = cached(
        place, key(f"{archive.name} {what}", [path]), lambda: _sorted(archive, members(path, archive.files), change)
    )
    return _examples(found, path)


def members(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files in a tar archive whose whole name is as wanted."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and wanted.fullmatch(name) and (file := archive.extractfile(member)):
                    yield name, file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        cause = str(error).split("\n")[0].rstrip(":")
        raise ValueError(f"{path} is damaged: expected a tar archive, {cause}; {REMEDY}") from error


def _sorted(archive: Archive, files: Iterator[tuple[str, bytes]], change: Callable[[str], str]) -> Found:
    found: Found = {"train": ([], []), "test": ([], [])}
    matches = [(match, raw) for name, raw in files if (match := archive.files.fullmatch(name))]
    for match, raw in sorted(matches, key=lambda pair: pair[0].string):
        texts, classes = found[match[1]]
        texts.append(change(raw.decode(archive.encoding)))
        classes.append(match[2])
    return found


def _examples(found: Found, path: Path) -> Examples:
    names = sorted(set(found["train"][1]))
    for split, (texts, labels) in found.items():
        if not texts or not set(labels) <= set(names):
            raise ValueError(f"{path} is not whole: {len(texts)} texts of the {split} split; {REMEDY}")
    numbers = {name: number for number, name in enumerate(names)}
    splits = {
        split: (Texts(texts), torch.tensor([numbers[label] for label in labels], dtype=torch.int64))
        for split, (texts, labels) in found.items()
    }
    return Examples("text", "classification", splits, tuple(names))
