"""Files read at once, by several threads, where some may be no good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dlkit.log import log

WORTH_A_LINE = 2000  # files: a second or more


def attempts(
    function: Callable[[Path], Any], paths: Sequence[Path], workers: int, doing: str
) -> Iterator[tuple[Any, str]]:
    """What the function makes of each file, in order, and ""; None and what is wrong where it raises ValueError.

    That error begins with the path, `path: why`; only why is given. `doing` is said of many files, with their number
    in the place of %s.
    """
    if len(paths) >= WORTH_A_LINE:
        log.info(doing, f"{len(paths):,}")

    def attempt(path: Path) -> tuple[Any, str]:
        try:
            return function(path), ""
        except ValueError as error:
            return None, str(error).removeprefix(f"{path}: ")

    if workers < 2:
        yield from map(attempt, paths)
        return
    with ThreadPoolExecutor(workers) as pool:  # decoding lets go of Python's lock
        yield from pool.map(attempt, paths)
