"""Rows of tables: from files with columns by name, or dicts and arrays from Python."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from dlkit.data.inputs.found import Example, files
from dlkit.data.inputs.rows import TABLES, Options, stream_rows
from dlkit.data.raw import Table
from dlkit.data.reading.rows import cell_of, number
from dlkit.data.tables.columns import Columns
from dlkit.data.tables.table import MISSING

SHOWN = 12  # columns that are named


class Row(NamedTuple):
    """One row of a table: numbers, NaN where missing, and words, "" where missing."""

    numbers: list[float]
    words: list[str]


class TableRows:
    """Rows with the columns of training, told by name; others are passed over, the target among them.

    Where the columns of training have no names, they are taken in their order: a file must have just as many.
    """

    note = ""

    def __init__(self, encoder: Columns, source: Mapping[str, Any]):
        self.encoder, self.options = encoder, Options.of(source)
        self.numbers, self.words = len(encoder.fill), len(encoder.levels)
        names = (*encoder.number_names, *encoder.word_names)
        self.names = names or tuple(str(i) for i in range(self.numbers + self.words))
        self.missing = {word.lower() for word in (source.get("missing") or MISSING)}

    def stream(self, words: Sequence[str]) -> Iterator[Example]:
        """The rows of CSV, TSV and JSON lines; for "-" of standard input."""
        for path in files(words, TABLES):
            try:
                yield from self._rows(path)
            except ValueError as error:
                yield Example(path, None, str(error).removeprefix(f"{path}: "))

    def several(self, value: Any) -> list[Any] | None:
        """The rows of a list of dicts, of an array (N, F), of a Table or of a pandas DataFrame."""
        if isinstance(value, Table):
            words = [list(row) for row in zip(*value.words, strict=True)] or [[]] * len(value)
            rows = [[*numbers, *rest] for numbers, rest in zip(value.numbers.tolist(), words, strict=True)]
            return [dict(zip(value.names, row, strict=True)) for row in rows]
        if hasattr(value, "to_dict") and hasattr(value, "columns"):
            return list(value.to_dict("records"))
        if isinstance(value, list | tuple) and not any(isinstance(one, float | int) for one in value):
            return list(value)
        return list(value) if getattr(value, "ndim", 0) == 2 else None

    def raw(self, value: Any) -> Row:
        """A row from a dict by column, or from numbers (F,) in the order of training."""
        if isinstance(value, Mapping):
            cells = {str(key): self._cell(key, one) for key, one in value.items()}
            if lacking := [name for name in self.names if name not in cells]:
                raise ValueError(self._lacking(lacking))
            return self._row([cells[name] for name in self.names])
        if self.words:
            raise ValueError(f"a {type(value).__name__}: expected a dict by column, {self._shown(self.names)}")
        try:
            numbers = torch.as_tensor(value, dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            numbers = torch.empty(0)
        if numbers.shape != (self.numbers,) or numbers.isinf().any():
            raise ValueError(f"a {type(value).__name__}: expected a dict by column, or {self.numbers} finite numbers")
        return Row(numbers.tolist(), [])

    def batch(self, raws: Sequence[Row]) -> Table:
        """Together, in the order of training."""
        numbers = torch.tensor([row.numbers for row in raws], dtype=torch.float64).reshape(len(raws), self.numbers)
        return Table(numbers, [[row.words[i] for row in raws] for i in range(self.words)], self.names)

    def _rows(self, path: str) -> Iterator[Example]:
        rows = stream_rows(path, self.options, self.names)
        places = self._places(rows.names)
        for line, cells, why in rows.cells:
            raw = None
            if not why:
                try:
                    raw = self._row([self._bare(cells[place]) for place in places])
                except ValueError as error:
                    why = str(error)
            yield Example(f"{path}:{line}", raw, why)

    def _places(self, names: tuple[str, ...]) -> list[int]:
        """Where in a file the columns of training stand."""
        lacking = [name for name in self.names if name not in names]
        if not lacking:
            return [names.index(name) for name in self.names]
        if len(names) == len(self.names) and all(name.isdigit() for name in self.names):
            order = sorted(self.names, key=int)  # by number, the target's left out
            return [order.index(name) for name in self.names]
        raise ValueError(f"{self._lacking(lacking)}; there are {self._shown(names)}")

    def _row(self, cells: list[str]) -> Row:
        numbers = []
        for name, cell in zip(self.names, cells[: self.numbers], strict=False):
            value = number(cell) if cell else math.nan
            if value is None:
                raise ValueError(f"{cell!r} in column {name}, which holds numbers in training")
            numbers.append(value)
        return Row(numbers, cells[self.numbers :])

    def _bare(self, cell: str) -> str:
        bare = cell.strip()
        return "" if bare.lower() in self.missing else bare

    def _cell(self, key: Any, value: Any) -> str:
        """A value as it would stand in the training file: 3.0 as 3 where only that is a known word."""
        value = value.item() if hasattr(value, "item") else value
        if value is None or value != value:
            return ""
        cell = self._bare(cell_of(value))
        names = self.names[self.numbers :]
        if isinstance(value, float) and value.is_integer() and key in names:
            known = self.encoder.levels[names.index(key)]
            return cell if cell in known else str(int(value))
        return cell

    def _lacking(self, lacking: Sequence[str]) -> str:
        return f"no column {self._shown(lacking)}; the model takes {self._shown(self.names)}"

    def _shown(self, names: Sequence[str]) -> str:
        return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
