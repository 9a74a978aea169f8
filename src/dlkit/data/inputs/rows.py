"""Rows of cells one by one, by the rules of `reading.rows`, of files of any size and of standard input."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from dlkit.data.inputs.found import STANDARD_INPUT, lines
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import DELIMITERS, SAMPLE, Column, Delimiter, Header, cell_of, cut, has_header, sniff

OBJECTS = (".jsonl", ".ndjson")
CELLS = (".csv", ".tsv", ".tab")
TABLES = tuple(ending + packed for ending in (*CELLS, *OBJECTS) for packed in ("", ".gz"))
HEAD = 1 << 16  # characters that are looked at to tell delimiter, header and columns
HALF = re.compile("[\ud800-\udfff]")  # half a character: what was not in the encoding, or JSON's own


@dataclass(frozen=True)
class Options:
    """How the run's own files were read; the options of `read_rows`."""

    delimiter: Delimiter = "auto"
    header: Header = "auto"
    quoting: bool = True
    encoding: str = "utf-8"

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Options:
        return cls(**{name: source[name] for name in cls.__dataclass_fields__ if name in source})


class RowStream(NamedTuple):
    """Rows as they are read: line, cells by column, and what is wrong, with no cells then."""

    names: tuple[str, ...]  # of the columns; "0", "1" … without a header
    cells: Iterator[tuple[int, list[str], str]]


def is_table(path: str) -> bool:
    """Whether the file's name says that it holds rows."""
    return path.lower().endswith(TABLES)


def stream_rows(path: str, options: Options, wanted: Sequence[Column]) -> RowStream:
    """The rows of a file or, for "-", of standard input, where a first `{` says that it holds JSON lines.

    The first `HEAD` characters say how it is cut and what its columns are: of JSON lines the keys there. Raises
    ValueError, `path: why`, where it cannot be read, holds no rows, or two columns have one name.
    """
    every = lines(path, options.encoding)
    head, size = [], 0
    for line in every:
        head.append(line)
        size += len(line)
        if size >= HEAD or len(head) >= SAMPLE:
            break
    text, ending = "".join(head), Path(path.lower().removesuffix(".gz")).suffix
    if not text.strip():
        raise ValueError(f"{path}: no rows in this file")
    if ending in OBJECTS or (path == STANDARD_INPUT and text.lstrip().startswith("{")):
        return _objects(head, every, options.encoding)
    mark = DELIMITERS["tab" if ending in (".tsv", ".tab") else sniff(text, options.quoting)]
    mark = mark if options.delimiter == "auto" else DELIMITERS[options.delimiter]
    first = [cells for cells in cut(path, head, mark, options.quoting, Problems("skip")) if cells]
    header = bool(first) and has_header(first, options.header, wanted)
    if len(first) <= header:
        raise ValueError(f"{path}: no rows in this file")
    if header:
        names = tuple(cell.strip() or str(place) for place, cell in enumerate(first[0][2]))
    else:
        names = tuple(str(i) for i in range(Counter(len(cells) for _, _, cells in first).most_common(1)[0][0]))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: two columns have the name {twice[0]!r}; rename one")
    return RowStream(names, _rows(path, chain(head, every), mark, options, len(names), header))


def _rows(
    path: str, every: Iterable[str], mark: str, options: Options, width: int, header: bool
) -> Iterator[tuple[int, list[str], str]]:
    problems = Problems("skip")
    bad: list[int] = []  # lines with bytes of another encoding

    def watched() -> Iterator[str]:
        for number, line in enumerate(every, start=1):
            if HALF.search(line):
                bad.append(number)
            yield line

    for first, last, cells in cut(path, watched(), mark, options.quoting, problems):
        yield from _told(problems)
        wrong = [number for number in bad if number <= last]
        del bad[: len(wrong)]
        if header:
            header = False
        elif wrong:
            yield wrong[0], [], f"not in {options.encoding}"
        elif len(cells) != width:
            yield first, [], f"{len(cells)} cells, expected {width}"
        else:
            yield first, cells, ""
    yield from _told(problems)


def _told(problems: Problems) -> Iterator[tuple[int, list[str], str]]:
    """The problems found so far, `path:line` and why, which are then forgotten."""
    for where, why in problems.found:
        yield int(where.rpartition(":")[2]), [], why
    problems.found.clear()


def _objects(head: list[str], rest: Iterable[str], encoding: str) -> RowStream:
    keys: dict[str, None] = {}
    for line in head:
        row, _ = _object(line)
        keys.update(dict.fromkeys(row or ()))
    names = tuple(keys)

    def rows() -> Iterator[tuple[int, list[str], str]]:
        for number, line in enumerate(chain(head, rest), start=1):
            if not line.strip():
                continue
            row, why = (None, f"not in {encoding}") if HALF.search(line) else _object(line)
            yield number, [] if row is None else [row.get(name, "") for name in names], why

    return RowStream(names, rows())


def _object(line: str) -> tuple[dict[str, str] | None, str]:
    """The cells of an object by key, and what is wrong with the line."""
    try:
        return {name: cell_of(value) for name, value in json.loads(line).items()}, ""
    except (ValueError, AttributeError, TypeError) as error:
        return None, f"not an object of words and numbers on one line: {error}"
