"""Many recordings at once: read, resampled and kept in the cache, or read while the model trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkit.data.audio.waves import BadRecording, check_length, read_wave, samples_of
from dlkit.data.cache import cache_folder, cached, key
from dlkit.data.problems import Problems
from dlkit.data.raw import Files, Ragged
from dlkit.log import log

BYTES = 4  # of a sample in memory
GB = 10**9
WORTH_A_LINE = 2000  # files: seconds
Recordings = Tensor | Ragged | Files


def read_recordings(
    paths: Sequence[Path],
    problems: Problems,
    *,
    sample_rate: int,
    seconds: float | None,
    cache: str | None,
    memory_limit: float | None = None,
    workers: int = 0,
) -> tuple[Recordings, set[Path]]:
    """What `read_wave` makes of each file, in order, and the files that are no good, which are added to `problems`.

    Tensor (N, T) where `seconds` is given, else Ragged; a bad file has zeros in its place. Kept in the
    cache, so that the next run decodes and resamples nothing. Above `memory_limit` (GB) it is `Files`, whose headers
    alone have been read. `workers` threads read; of Files, as many processes. Raises ValueError where recordings
    of different lengths need more than the limit.
    """
    paths = list(paths)
    length = None if seconds is None else samples_of(seconds, sample_rate)
    limit = None if memory_limit is None else int(memory_limit * GB)
    streamed = length is not None and limit is not None and len(paths) * length * BYTES > limit
    read = partial(read_wave, sample_rate=sample_rate, seconds=seconds)
    if streamed:
        name, make = "headers 1", lambda: {"bad": _bad(list(_each(paths, _check_header, workers)))}
    else:
        name, make = f"recordings 1 {sample_rate} {length}", lambda: _read(paths, read, length, limit, workers)
    made = cached(cache_folder(cache) / "recordings", key(name, paths), make)
    for place, why in made["bad"]:
        problems.add(str(paths[place]), why)
    bad = {paths[place] for place, _ in made["bad"]}
    if streamed:
        return Files(paths, read, workers), bad
    return (made["values"] if length is not None else Ragged(made["values"], made["lengths"])), bad


def _read(paths: list[Path], read: Any, length: int | None, limit: int | None, workers: int) -> dict[str, Any]:
    """Values (N, T), or (total,) with lengths (N,); and the places of bad files with the reason."""
    found: list[Tensor | str | None] = []
    total = 0
    rows = None if length is None else torch.zeros(len(paths), length)
    for place, wave in enumerate(_each(paths, read, workers)):
        if isinstance(wave, str):
            found.append(wave)
        elif rows is not None:
            rows[place] = wave
            found.append(None)  # it is kept already
        else:
            found.append(wave)
            total += len(wave)
        if limit is not None and total * BYTES > limit:
            raise ValueError(
                f"data.memory_limit={limit / GB:g}: the recordings take more, {total * BYTES / GB:.1f} GB after "
                f"{place + 1:,} of {len(paths):,}; raise it, or set data.seconds, so that they can be streamed"
            )
    if rows is not None:
        return {"values": rows, "bad": _bad(found)}
    waves = [one if isinstance(one, Tensor) else torch.zeros(1) for one in found]
    lengths = torch.tensor([len(wave) for wave in waves])
    return {"values": torch.cat(waves), "lengths": lengths, "bad": _bad(found)}


def _bad(found: Sequence[Any]) -> list[tuple[int, str]]:
    return [(place, one) for place, one in enumerate(found) if isinstance(one, str)]


def _each(paths: list[Path], read: Any, workers: int) -> Iterator[Any]:
    """What `read` makes of each file, in order; of a bad one the reason, a str."""

    def attempt(path: Path) -> Any:
        try:
            return read(path)
        except BadRecording as error:
            return error.why

    if len(paths) >= WORTH_A_LINE:
        log.info("reading %s recordings, once", f"{len(paths):,}")
    if workers < 2:
        yield from map(attempt, paths)
        return
    with ThreadPoolExecutor(workers) as pool:  # decoding lets go of Python's lock
        yield from pool.map(attempt, paths)


def _check_header(path: Path) -> None:
    """Raises BadRecording where the file is no recording, or too short for one."""
    import soundfile  # here: only those who read recordings need it

    try:
        header = soundfile.info(path)
    except soundfile.SoundFileError as error:
        raise BadRecording(path, "cannot be read as audio; is it damaged, or of another kind?") from error
    check_length(path, header.frames, header.samplerate)
