"""Rows of cells from CSV, TSV and JSON lines, plain or compressed, with their line numbers."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dlkit.data.reading.decoded import content, decoded
from dlkit.data.reading.problems import Problems

Delimiter = Literal["auto", "comma", "semicolon", "tab", "pipe", "space"]
Header = Literal["auto"] | bool
Column = str | int  # by name, or by number from 0
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
SAMPLE = 100  # rows that are looked at to tell delimiter and header


@dataclass(frozen=True)
class Rows:
    """Rows of one file: `names` of the columns ("0", "1" … without a header), `cells` and the line each begins at."""

    path: Path
    names: tuple[str, ...]
    cells: list[list[str]]
    lines: list[int]

    def place(self, column: Column, key: str) -> int:
        """Number of a column. Raises ValueError, which names the config's `key`, where there is none."""
        if isinstance(column, int) and 0 <= column < len(self.names):
            return column
        if isinstance(column, str) and column in self.names:
            return self.names.index(column)
        close = difflib.get_close_matches(str(column), self.names, 1, 0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{key}={column}: {self.path.name} has the columns {', '.join(self.names)}{hint}")

    def column(self, place: int) -> list[str]:
        """The cells of one column."""
        return [cells[place] for cells in self.cells]

    def taken(self, numbers: Sequence[int]) -> Rows:
        """Some of the rows, by number from 0."""
        return Rows(self.path, self.names, [self.cells[i] for i in numbers], [self.lines[i] for i in numbers])

    def where(self, row: int) -> str:
        """`path:line` of a row, for Problems."""
        return f"{self.path}:{self.lines[row]}"

    def origins(self) -> tuple[str, ...]:
        """`file:line` of every row, for a report."""
        return tuple(f"{self.path.name}:{line}" for line in self.lines)


def read_rows(
    path: str | Path,
    problems: Problems,
    *,
    delimiter: Delimiter = "auto",
    header: Header = "auto",
    quoting: bool = True,
    encoding: str = "utf-8",
    wanted: Sequence[Column] = (),
    key: str = "data.path",
) -> Rows:
    """All rows of a file. `.jsonl` and `.ndjson` hold an object a line; all else is cells with a delimiter.

    delimiter auto: tab for `.tsv`, else what cuts the first rows into the same number of cells, and most of them.
    header auto: there is one if a column is `wanted` by name, by "0" or "1" only if the first row has it; else if no
    cell of the first row is a number but all cells below one are, empty ones apart. quoting false: quotation marks are
    as any other character, for text. Empty lines are passed over. Rows of a wrong length, undecodable lines and the
    like go to `problems`, not into Rows. Raises ValueError, which names `key`, where the file is missing, empty or not
    what its name says.
    """
    path = Path(path).expanduser()
    text, undecodable = decoded(path, content(path, key), encoding, problems)
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in (".jsonl", ".ndjson"):
        return _objects(path, text, undecodable, problems)
    mark = DELIMITERS["tab" if ending in (".tsv", ".tab") else sniff(text, quoting)]
    mark = mark if delimiter == "auto" else DELIMITERS[delimiter]
    found = list(cut(path, io.StringIO(text, newline=""), mark, quoting, problems))
    if not found:
        raise ValueError(f"{key}={path}: no rows in this file")
    return _rectangle(path, found, has_header(found, header, wanted), undecodable, problems)


@lru_cache(1 << 16)  # most cells come often; to learn that a word is no number costs a microsecond
def number(cell: str) -> float | None:
    """The number in a cell; None where there is none. Neither `nan` nor `inf` nor Python's `1_000` is a number."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if "_" in cell or value - value != 0 else value


def _reader(lines: Iterable[str], mark: str, quoting: bool) -> Any:
    csv.field_size_limit(2**31 - 1)  # the module's own limit, 131,072, is less than a long text
    how: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=mark, quoting=how, skipinitialspace=True, strict=True)


def cut(
    path: Path | str, lines: Iterable[str], mark: str, quoting: bool, problems: Problems
) -> Iterator[tuple[int, int, list[str]]]:
    """First line, last line and cells of every row that is not empty, of lines with their ends."""
    reader = _reader(lines, mark, quoting)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(f"{path}:{first}", f"{error} (data.quoting=false takes quotation marks as they are)")
            continue
        if any(cells):
            yield first, reader.line_num, cells


def sniff(text: str, quoting: bool) -> str:
    """The name of the delimiter that cuts most of the first rows into the same number of cells, and into most cells."""
    head = "".join(text[: 1 << 20].splitlines(keepends=True)[:SAMPLE])
    best, score = "comma", (0.0, 1)
    for name in ("comma", "tab", "semicolon", "pipe"):
        found = list(cut("", io.StringIO(head, newline=""), DELIMITERS[name], quoting, Problems("skip")))
        cells, rows = Counter(len(row) for _, _, row in found).most_common(1)[0] if found else (1, 0)
        if cells > 1 and (rows / len(found), cells) > score:
            best, score = name, (rows / len(found), cells)
    return best


def has_header(found: list[tuple[int, int, list[str]]], header: Header, wanted: Sequence[Column]) -> bool:
    """Whether the first of these rows, as `cut` gives them, has the names of the columns."""
    if isinstance(header, bool):
        return header
    names = {column for column in wanted if isinstance(column, str)}
    if any(not name.isdigit() for name in names) or (names and names <= {cell.strip() for cell in found[0][2]}):
        return True
    first, rest = found[0][2], [cells for _, _, cells in found[1:SAMPLE] if len(cells) == len(found[0][2])]
    if not rest or any(number(cell) is not None for cell in first):
        return False
    below = [[cell for cell in column if cell] for column in zip(*rest, strict=True)]
    return any(cells and all(number(cell) is not None for cell in cells) for cells in below)


def _rectangle(
    path: Path, found: list[tuple[int, int, list[str]]], header: bool, undecodable: set[int], problems: Problems
) -> Rows:
    """Names and the rows that have a cell for each."""
    if header:
        names = tuple(cell.strip() or str(place) for place, cell in enumerate(found[0][2]))
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{path}:{found[0][0]}: two columns have the name {twice!r}; rename one")
    else:
        width = Counter(len(cells) for _, _, cells in found).most_common(1)[0][0]
        names = tuple(str(place) for place in range(width))
    rows = Rows(path, names, [], [])
    for first, last, cells in found[header:]:
        if len(cells) != len(names):
            problems.add(f"{path}:{first}", f"{len(cells)} cells, expected {len(names)}")
        elif undecodable.isdisjoint(range(first, last + 1)):
            rows.cells.append(cells)
            rows.lines.append(first)
    return rows


def _objects(path: Path, text: str, undecodable: set[int], problems: Problems) -> Rows:
    """JSON lines; the columns are the keys in the order in which they first come, a key left out is an empty cell."""
    found: list[tuple[int, dict[str, str]]] = []
    for line, words in enumerate(text.split("\n"), start=1):
        if not words.strip() or line in undecodable:
            continue
        try:
            made = json.loads(words)
            found.append((line, {name: cell_of(value) for name, value in made.items()}))
        except (ValueError, AttributeError, TypeError) as error:
            problems.add(f"{path}:{line}", f"not an object of words and numbers on one line: {error}")
    if not found:
        problems.settle()
        raise ValueError(f"{path}: no rows in this file")
    names = tuple(dict.fromkeys(name for _, row in found for name in row))
    return Rows(path, names, [[row.get(name, "") for name in names] for _, row in found], [line for line, _ in found])


def cell_of(value: Any) -> str:
    """A JSON value as it would stand in a CSV file."""
    if isinstance(value, list | dict):
        raise TypeError(f"a {type(value).__name__} as a value")
    if isinstance(value, str):
        return value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
