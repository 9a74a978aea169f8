"""A folder of images, one folder a class, as one tensor or, where that would not fit, as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.data.images.pixels import is_grey, kinds, read_image
from dlkit.data.raw import Files
from dlkit.data.reading.attempts import attempts
from dlkit.data.reading.cache import cache_folder, cached, key
from dlkit.data.reading.folders import ClassFolders, list_classes
from dlkit.data.reading.groups import PathGroups
from dlkit.data.reading.problems import OnError, Problems
from dlkit.data.reading.store import open_store
from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt

Mode = Literal["auto", "grey", "rgb"]
LOOKING = "looking at %s images, once"


def image_folder(
    *,
    root: str,
    size: PositiveInt = 64,
    mode: Mode = "auto",
    memory_limit: Positive = 2.0,
    workers: NonNegativeInt = 4,
    cache: str | None = None,
    cache_limit: NonNegative = 10.0,
    group: str | None = None,
    classes: Sequence[str | int] | None = None,
    on_error: OnError = "raise",
) -> Examples:
    """Images of `size` x `size` pixels, uint8 (N, C, size, size), from a folder a class (`folders.list_classes`).

    Each is resized so that its short side has `size` pixels, and the middle of its long side is kept
    (`pixels.read_image`). `mode` auto: grey where all images are, else rgb. What takes no more than `memory_limit` GB
    as float32 is decoded once, by `workers` threads, and kept in the folder `cache`. Of a larger set only the headers
    are read now, and a file that is damaged behind its header ends the run with its name when it is read; what is read
    is kept in `cache` too, if all of it takes no more than `cache_limit` GB there. `group` is a regular expression with
    one group, looked for in the path below `root`: what it finds is in one split only. `classes` names the classes in
    the order of their numbers: of these there may be any number of files, and those of others cannot be used. Raises
    ValueError with every file that cannot be used, or leaves them out.
    """
    problems, groups = Problems(on_error), PathGroups(group)
    folder, place = Path(root).expanduser(), cache_folder(cache) / "images"
    found = list_classes(folder, kinds(), problems, classes=classes, kind="an image that Pillow reads")
    found, grey = _check_headers(found, mode, place, workers, problems)
    found = found.without(groups.find(folder, found.paths("train"), problems), problems)
    read = partial(read_image, size=size, grey=grey)
    gigabytes = 4e-9 * len(found.every_path()) * (1 if grey else 3) * size**2
    if gigabytes <= memory_limit:
        found, splits = _decode(found, read, f"images {size} {grey}", place, workers, problems)
        notes = problems.settle()
    else:
        notes = problems.settle()
        every = found.every_path()
        name = f"{key(f'rows 1 images {size} {grey}', every)}.rows"
        store, kept = open_store(place / name, len(every), (1 if grey else 3, size, size), torch.uint8, cache_limit)
        splits = _streamed(found, Files(every, read, workers, store))
        notes += (f"streamed while training: {gigabytes:.3g} GB, more than data.memory_limit={memory_limit:g}",)
        notes += (kept,) if kept else ()
    numbers = groups.numbers(found.paths("train"))
    return Examples("image", "classification", splits, found.classes, numbers, notes=notes, names=found.names())


def _check_headers(
    found: ClassFolders, mode: Mode, place: Path, workers: int, problems: Problems
) -> tuple[ClassFolders, bool]:
    """What is left without files whose headers cannot be read, and whether the images are to be grey."""
    paths = found.every_path()
    headers = cached(place, key("headers", paths), lambda: list(attempts(is_grey, paths, workers, LOOKING)))
    grey = mode == "grey" or (mode == "auto" and all(one for one, why in headers if not why))
    return _without_bad(found, paths, [why for _, why in headers], problems), grey


def _decode(
    found: ClassFolders, read: Callable[[Path], Tensor], what: str, place: Path, workers: int, problems: Problems
) -> tuple[ClassFolders, dict[str, Any]]:
    """What is left without damaged files, and images and labels of each split."""
    paths = found.every_path()

    def decode() -> dict[str, Any]:
        results = list(attempts(read, paths, workers, "decoding %s images, once"))
        images = [image for image, why in results if not why]
        return {"images": torch.stack(images) if images else torch.empty(0), "why": [why for _, why in results]}

    made = cached(place, key(what, paths), decode)
    good = (path for path, why in zip(paths, made["why"], strict=True) if not why)
    row = {path: number for number, path in enumerate(good)}
    found = _without_bad(found, paths, made["why"], problems)
    splits = {}
    for name in found.splits:
        rows = torch.tensor([row[path] for path in found.paths(name)])
        splits[name] = (made["images"][rows], found.labels(name))
    return found, splits


def _streamed(found: ClassFolders, files: Files) -> dict[str, Any]:
    """Files and labels of each split."""
    sizes = [len(pairs) for pairs in found.splits.values()]
    parts = torch.arange(len(files)).split(sizes)
    return {name: (files[rows], found.labels(name)) for name, rows in zip(found.splits, parts, strict=True)}


def _without_bad(
    found: ClassFolders, paths: Sequence[Path], reasons: Sequence[str], problems: Problems
) -> ClassFolders:
    """Without the files for which there is a reason."""
    bad = {path: why for path, why in zip(paths, reasons, strict=True) if why}
    for path, why in bad.items():
        problems.add(str(path), why)
    return found.without(bad, problems)
