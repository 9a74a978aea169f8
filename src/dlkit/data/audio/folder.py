"""A user's own recordings: a folder a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from dlkit.data.audio.recordings import read_recordings
from dlkit.data.examples import Examples
from dlkit.data.reading.folders import list_classes
from dlkit.data.reading.groups import PathGroups
from dlkit.data.reading.problems import OnError, Problems
from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt

EXTENSIONS = (".wav", ".flac")


def audio_folder(
    *,
    root: str,
    sample_rate: PositiveInt,
    seconds: Positive | None = None,
    group: str | None = None,
    classes: Sequence[str | int] | None = None,
    memory_limit: Positive = 2.0,
    workers: NonNegativeInt = 4,
    cache: str | None = None,
    cache_limit: NonNegative = 10.0,
    on_error: OnError = "raise",
) -> Examples:
    """WAV and FLAC files of any rate, number of channels and length under `root`, laid out as `list_classes` reads it.

    They become waveforms at `sample_rate`: (N, T) where `seconds` is given, cut to their middle or with zeros behind,
    else of different lengths. `group` is a regular expression with one group, looked for in the path below `root`:
    what it finds (a speaker) is in one split only. `classes` names the classes in the order of their numbers: of these
    there may be any number of files, and those of others cannot be used. Above `memory_limit` (GB) files are read while
    the model trains, and kept decoded in `cache` if that takes no more than `cache_limit` GB.
    """
    place = Path(root).expanduser()
    problems, groups = Problems(on_error), PathGroups(group)
    found = list_classes(place, EXTENSIONS, problems, classes=classes, kind="a WAV or FLAC file")
    paths = found.every_path()
    x, bad, streams = read_recordings(
        paths,
        problems,
        sample_rate=sample_rate,
        seconds=seconds,
        cache=cache,
        memory_limit=memory_limit,
        cache_limit=cache_limit,
        workers=workers,
    )
    found = found.without(bad | groups.find(place, found.paths("train"), problems), problems)
    notes = problems.settle() + streams
    rows = {path: row for row, path in enumerate(paths)}
    splits = {}
    for split in found.splits:
        chosen = torch.tensor([rows[path] for path in found.paths(split)])
        splits[split] = (x[chosen], found.labels(split))
    numbers = groups.numbers(found.paths("train"))
    return Examples("waveform", "classification", splits, found.classes, numbers, sample_rate, notes, found.names())
