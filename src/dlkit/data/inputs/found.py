"""What a reader of inputs gives, and the files that are meant by names, folders and standard input."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

STANDARD_INPUT = "-"
HEAD = 4096  # characters in which a file that is no text betrays itself


class Example(NamedTuple):
    """A raw example, or what is wrong with it."""

    name: str  # path, path:line, or the text itself
    raw: Any = None
    why: str = ""


class Inputs(Protocol):
    """Reads the raw examples of one kind."""

    note: str  # what the user should know of how they are read; "" for nothing

    def stream(self, words: Sequence[str]) -> Iterator[Example]:
        """The examples in files, folders and, for "-", standard input, in order, read as they are asked for."""
        ...

    def several(self, value: Any) -> list[Any] | None:
        """The values in one that holds several; None where it is a single one."""
        ...

    def raw(self, value: Any) -> Any:
        """A raw example from what a user has in Python. Raises ValueError."""
        ...

    def batch(self, raws: Sequence[Any]) -> Any:
        """Raw examples together, as the encoder takes them."""
        ...


def files(words: Iterable[str], endings: Collection[str], *, listed: bool = False) -> Iterator[str]:
    """Paths of the files meant: a file as it is named, of a folder those with one of the `endings` (".png", in any
    case), at any depth and by name, hidden ones passed over. Of "-" itself or, where `listed`, the paths that stand on
    standard input, one a line. A folder without such files is given as it is.
    """
    for word in words:
        if word == STANDARD_INPUT and listed:
            yield from files(_listed(), endings)
        elif word != STANDARD_INPUT and Path(word).is_dir():
            first = next(inside := _inside(word, endings), None)
            yield from chain([word if first is None else first], inside)
        else:
            yield word


def lines(path: str, encoding: str) -> Iterator[str]:
    """The lines of a file, or of "-", with their ends; plain or gzip.

    Bytes that are not in the encoding become half characters. Raises ValueError, `path: why`, where it cannot be read.
    """
    name = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding  # with or without byte order mark
    try:
        with _opened(path) as raw:
            unpacked: Any = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
            text = io.TextIOWrapper(unpacked, name, errors="surrogateescape", newline="")
            head, size = [], 0
            for line in text:
                head.append(line)
                size += len(line)
                if size >= HEAD:
                    break
            if any("\0" in line for line in head):
                raise ValueError(f"{path}: holds zero bytes, so it is no text, or not in {encoding}")
            yield from chain(head, text)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: {why(error)}") from error


def why(error: BaseException) -> str:
    """What is wrong with a file that could not be read."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "no file in this folder is of a kind that this model takes"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _listed() -> Iterator[str]:
    """The paths on standard input, one a line."""
    for line in _standard_input():
        if b"\0" in line:
            raise ValueError("-: no list of paths, but the content of a file; give its path, or paths, one a line")
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)


def _inside(folder: str, endings: Collection[str]) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(tuple(endings)):
                yield str(Path(place) / name)


def _opened(path: str) -> AbstractContextManager[Any]:
    return nullcontext(_standard_input()) if path == STANDARD_INPUT else Path(path).open("rb")


def _standard_input() -> Any:
    if sys.stdin.buffer.closed:
        raise ValueError("-: standard input is read already; name it once")
    return sys.stdin.buffer
