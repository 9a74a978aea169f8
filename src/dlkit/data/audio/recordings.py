"""Many recordings at once: read, resampled and kept in the cache, or read while the model trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkit.data.audio.waves import QUIET, check_length, opened, read_wave, samples_of
from dlkit.data.raw import Files, Ragged
from dlkit.data.reading.attempts import attempts
from dlkit.data.reading.cache import cache_folder, cached, key
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.store import open_store

BYTES = 4  # of a sample in memory
GB = 10**9
Recordings = Tensor | Ragged | Files


def read_recordings(
    paths: Sequence[Path],
    problems: Problems,
    *,
    sample_rate: int,
    seconds: float | None,
    cache: str | None,
    memory_limit: float | None = None,
    cache_limit: float = 0.0,
    workers: int = 0,
) -> tuple[Recordings, set[Path], tuple[str, ...]]:
    """What `read_wave` makes of each file, in order; the files that are no good, which are added to `problems`; and
    notes for the user.

    Tensor (N, T) where `seconds` is given, else Ragged; a bad file has zeros in its place. Kept in the
    cache, so that the next run decodes and resamples nothing. Above `memory_limit` (GB) it is `Files`, whose headers
    alone have been read, and which are kept in the cache as they are read, if all take no more than `cache_limit` (GB)
    there. `workers` threads read; of Files, as many processes. Raises ValueError where recordings of different lengths
    need more than the limit.
    """
    paths = list(paths)
    length = None if seconds is None else samples_of(seconds, sample_rate)
    limit = None if memory_limit is None else int(memory_limit * GB)
    streamed = length is not None and limit is not None and len(paths) * length * BYTES > limit
    read = partial(read_wave, sample_rate=sample_rate, seconds=seconds)
    if streamed:
        name, make = "headers 1", lambda: _check(paths, workers)
    else:
        name, make = f"recordings 2 {sample_rate} {length}", lambda: _read(paths, read, length, limit, workers)
    folder = cache_folder(cache) / "recordings"
    made = cached(folder, key(name, paths), make)
    for place, why in made["bad"]:
        problems.add(str(paths[place]), why)
    bad = {paths[place] for place, _ in made["bad"]}
    if streamed:
        assert length is not None and memory_limit is not None
        file = folder / f"{key(f'rows 1 recordings {sample_rate} {length}', paths)}.rows"
        store, kept = open_store(file, len(paths), (length,), torch.float32, cache_limit)
        notes = (f"streamed while training: more than data.memory_limit={memory_limit:g} GB", kept)
        return Files(paths, read, workers, store), bad, tuple(note for note in notes if note)
    if length is None:
        _check_size(len(made["values"]), limit, "together")  # the limit may have been higher when they were cached
    silent = [paths[place] for place in made["silent"]]
    told = (f"{len(silent):,} silent, such as {silent[0]}",) if silent else ()
    return (made["values"] if length is not None else Ragged(made["values"], made["lengths"])), bad, told


def _check(paths: list[Path], workers: int) -> dict[str, Any]:
    """The places of files whose headers are bad, with the reason."""
    found = enumerate(attempts(_check_header, paths, workers, "looking at %s recordings, once"))
    return {"bad": [(place, why) for place, (_, why) in found if why]}


def _read(
    paths: list[Path], read: Callable[[Path], Tensor], length: int | None, limit: int | None, workers: int
) -> dict[str, Any]:
    """Values (N, T), or (total,) with lengths (N,); the places of bad files with the reason, and of silent ones."""
    waves: list[Tensor] = []
    bad: list[tuple[int, str]] = []
    silent: list[int] = []
    total = 0
    rows = None if length is None else torch.zeros(len(paths), length)
    for place, (wave, why) in enumerate(attempts(read, paths, workers, "reading %s recordings, once")):
        if why:
            bad.append((place, why))
        elif wave.abs().max() <= QUIET:
            silent.append(place)
        if rows is None:
            waves.append(torch.zeros(1) if why else wave)
            total += len(waves[-1])
        elif not why:
            rows[place] = wave
        _check_size(total, limit, f"after {place + 1:,} of {len(paths):,}")
    if rows is not None:
        return {"values": rows, "bad": bad, "silent": silent}
    lengths = torch.tensor([len(wave) for wave in waves])
    return {"values": torch.cat(waves), "lengths": lengths, "bad": bad, "silent": silent}


def _check_size(samples: int, limit: int | None, after: str) -> None:
    """Raises ValueError where so many samples need more than `limit` bytes."""
    if limit is not None and samples * BYTES > limit:
        raise ValueError(
            f"data.memory_limit={limit / GB:g}: the recordings take more, {samples * BYTES / GB:.3g} GB {after}; "
            "raise it, or set data.seconds, so that they can be streamed"
        )


def _check_header(path: Path) -> None:
    """Raises ValueError where the file is no recording, or too short for one."""
    with opened(path) as file:
        check_length(path, file.frames, file.samplerate)
