"""From rows of cells to examples: which columns hold numbers, which words, and what is to be predicted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch

from dlkit.data.examples import Examples
from dlkit.data.raw import Table
from dlkit.data.reading.groups import numbered
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import Column, Rows, number
from dlkit.data.reading.targets import Task, targets

MISSING = ("", "?", "NA", "N/A", "NaN", "null")  # what means that a value is missing, in capitals or not
SHOWN = 8  # columns of a kind that are named
ENOUGH = 10  # rows from which on a column can be told to be an identifier


@dataclass(frozen=True)
class Choice:
    """What the user says of the columns; the options of `table_csv` have the same names."""

    target: Column
    group: Column | None = None
    columns: Sequence[Column] | None = None
    ignore: Sequence[Column] = ()
    categorical: Sequence[Column] = ()
    numeric: Sequence[Column] = ()
    missing: Sequence[str] = MISSING
    task: Task = "auto"
    classes: Sequence[str | int] | None = None


def examples_of(parts: dict[str, Rows], problems: Problems, choice: Choice) -> Examples:
    """Rows by split, all with the same columns, as Examples; bad rows go to `problems`, which are settled here."""
    words = {word.lower() for word in choice.missing}
    parts = {name: _cleaned(rows, words) for name, rows in parts.items()}
    train = parts["train"]
    target = train.place(choice.target, "data.target")
    group = None if choice.group is None else train.place(choice.group, "data.group")
    found = targets(parts, target, choice.task, problems, classes=choice.classes)
    parts = {name: rows.taken([row for row, _ in found.y[name]]) for name, rows in parts.items()}
    columns = _Columns(parts["train"], choice, {target, group}) if parts["train"].cells else None
    good = {name: list(columns.without_bad(rows, problems)) for name, rows in parts.items()} if columns else {}
    notes = problems.settle()
    _check_left(good, train, problems)
    assert columns is not None
    splits, left = {}, {name: rows.taken(good[name]) for name, rows in parts.items()}
    for name, rows in left.items():
        y = [found.y[name][row][1] for row in good[name]]
        splits[name] = (columns.table(rows), found.tensor(y))
    groups = None if group is None else numbered(left["train"].column(group))
    notes = (*found.notes, *columns.notes, *notes)
    names = {name: rows.origins() for name, rows in left.items()}
    return Examples("tabular", found.task, splits, found.classes, groups, notes=notes, names=names)


def _cleaned(rows: Rows, missing: set[str]) -> Rows:
    """The cells without spaces around them, "" where they mean that a value is missing."""

    @cache
    def cleaned(cell: str) -> str:
        bare = cell.strip()
        return "" if bare.lower() in missing else bare

    return Rows(rows.path, rows.names, [[cleaned(cell) for cell in row] for row in rows.cells], rows.lines)


def _check_left(good: dict[str, list[int]], train: Rows, problems: Problems) -> None:
    for name, rows in (good or {"train": []}).items():
        if not rows:
            raise problems.too_few(f"{train.path}: no rows are left for the {name} split")


class _Columns:
    """The columns that are learnt from, told apart by the training rows: `numeric`, and `worded` for all else.

    A column is numeric where all its cells in training that are not missing are numbers, or where `Choice.numeric` says
    so. Left out, with a note, are columns that are empty, number the rows, or have another word in every row, unless
    the user names them, and of an empty one the kind.
    """

    def __init__(self, train: Rows, choice: Choice, taken: set[int | None]):
        self.notes: list[str] = []
        places = range(len(train.names)) if choice.columns is None else _places(train, choice.columns, "data.columns")
        out = taken | set(_places(train, choice.ignore, "data.ignore"))
        forced = set(_places(train, choice.categorical, "data.categorical"))
        named = forced | (set(places) if choice.columns is not None else set())
        self.said = set(_places(train, choice.numeric, "data.numeric"))  # to be numeric
        if both := self.said & forced:
            raise ValueError(f"data.numeric={train.names[min(both)]}: data.categorical has it too; keep it in one")
        self.numeric: list[int] = []
        self.worded: list[int] = []
        for place in places:
            kind = "" if place in out else self._kind(train, place, place in forced, place in named)
            if kind:
                (self.numeric if kind == "numbers" else self.worded).append(place)
        if not self.numeric and not self.worded:
            raise ValueError(f"{train.path}: no column is left to learn from; see data.columns and data.ignore")
        for kind, found in (("numbers", self.numeric), ("words", self.worded)):
            if found:
                names = ", ".join(train.names[place] for place in found[:SHOWN]) + (" …" if len(found) > SHOWN else "")
                self.notes.append(f"{kind} in {len(found)} column{'s' if len(found) > 1 else ''}: {names}")

    def without_bad(self, rows: Rows, problems: Problems) -> Iterator[int]:
        """The rows whose numeric columns hold numbers."""
        for row, cells in enumerate(rows.cells):
            bad = [place for place in self.numeric if cells[place] and number(cells[place]) is None]
            for place in bad:
                why = "data.numeric names" if place in self.said else "holds numbers in training"
                problems.add(rows.where(row), f"{cells[place]!r} in column {rows.names[place]}, which {why}")
            if not bad:
                yield row

    def table(self, rows: Rows) -> Table:
        """The chosen columns, numbers first."""
        columns = [[_number(cell) for cell in rows.column(place)] for place in self.numeric]
        numbers = torch.tensor(columns, dtype=torch.float64).reshape(len(columns), len(rows.cells)).T.contiguous()
        names = [rows.names[place] for place in (*self.numeric, *self.worded)]
        return Table(numbers, [rows.column(place) for place in self.worded], names)

    def _kind(self, train: Rows, place: int, forced: bool, named: bool) -> str:
        """numbers, words or, for a column that is left out, nothing."""
        if place in self.said:
            return "numbers"
        cells = train.column(place)
        present = [cell for cell in cells if cell]
        name, count = train.names[place], len(cells)
        values = [value for cell in present if (value := number(cell)) is not None]
        if not present and not forced:
            self.notes.append(f"column {name} left out: it is empty in all training rows")
            return ""
        if len(values) == len(present) and not forced:
            if not named and count >= ENOUGH and _counts(values):
                self.notes.append(f"column {name} left out: it numbers the rows (data.columns takes it in)")
                return ""
            return "numbers"
        levels = len(set(present))
        if not named and levels == count >= ENOUGH:
            self.notes.append(f"column {name} left out: another word in every row (data.categorical takes it in)")
            return ""
        if len(values) > 0.9 * len(present) and not forced:
            odd = next(cell for cell in present if number(cell) is None)
            self.notes.append(f"column {name} taken as words: {odd!r} is no number (data.missing says what is missing)")
        elif levels > count / 2 and count >= ENOUGH:
            self.notes.append(f"column {name} has {levels:,} words in {count:,} rows: data.ignore leaves it out")
        return "words"


def _places(rows: Rows, columns: Sequence[Column], key: str) -> list[int]:
    return [rows.place(column, key) for column in columns]


def _number(cell: str) -> float:
    value = number(cell)
    return math.nan if value is None else value


def _counts(values: list[float]) -> bool:
    """Whether each value is one more than the one before."""
    return all(after - before == 1 for before, after in pairwise(values))
