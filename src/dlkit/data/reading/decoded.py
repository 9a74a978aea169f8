"""The text of a file, plain or compressed, and what of it is not in its encoding."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from dlkit.data.reading.problems import Problems

HEAD = 4096  # characters in which a file that is no text betrays itself


class NoText(ValueError):
    """A file that is no text, or cannot be read or unpacked; `why` says so without its path."""

    def __init__(self, where: str, why: str):
        super().__init__(f"{where}: {why}")
        self.why = why


def content(path: Path, key: str) -> bytes:
    """The bytes of a file, unpacked where it is gzip. Raises ValueError, naming `key`, where there is none, NoText
    where it cannot be read."""
    if not path.is_file():
        raise ValueError(f"{key}={path}: no such file")
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise NoText(f"{key}={path}", f"damaged or not readable: {error}") from error


def decoded(path: Path, raw: bytes, encoding: str, problems: Problems) -> tuple[str, set[int]]:
    """The text, and the numbers of its lines that are not in this encoding. Raises NoText."""
    name = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding  # with or without byte order mark
    try:
        text, bad = raw.decode(name), set[int]()
    except LookupError as error:
        raise ValueError(f"data.encoding={encoding}: no such encoding; try utf-8, latin-1 or cp1252") from error
    except UnicodeDecodeError:
        text = raw.decode(name, "replace")
        bad = {line for line, words in enumerate(text.split("\n"), start=1) if "\ufffd" in words}
    if "\0" in text[:HEAD]:
        raise NoText(str(path), f"holds zero bytes, so it is no text, or not in {encoding} (data.encoding)")
    for line in sorted(bad):
        problems.add(f"{path}:{line}", f"not in {encoding} (data.encoding: latin-1 or cp1252?)")
    return text, bad
