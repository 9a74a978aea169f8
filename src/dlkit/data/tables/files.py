"""A table of the user's: CSV, TSV or JSON lines, plain or compressed."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.data.examples import Examples
from dlkit.data.problems import OnError, Problems
from dlkit.data.rows import Column, Delimiter, Header, Rows, read_rows, split_of
from dlkit.data.tables.table import MISSING, Choice, examples_of
from dlkit.data.targets import Task


def table_csv(
    *,
    path: str,
    target: Column,
    val_path: str | None = None,
    test_path: str | None = None,
    split: Column | None = None,
    group: Column | None = None,
    columns: Sequence[Column] | None = None,
    ignore: Sequence[Column] = (),
    categorical: Sequence[Column] = (),
    missing: Sequence[str] = MISSING,
    task: Task = "auto",
    delimiter: Delimiter = "auto",
    header: Header = "auto",
    encoding: str = "utf-8",
    on_error: OnError = "raise",
) -> Examples:
    """Rows of a file as examples: numbers and words told apart (tables/table.py), and the task (data/targets.py).

    Validation and test rows come from files of their own, or from the column `split`, or are cut from the training
    rows. Raises ValueError for columns that are not there and, unless they are skipped, for all bad rows by line.
    """
    if split is not None and (val_path or test_path):
        raise ValueError("data.split: the splits are in a column, or in val_path and test_path; not in both")
    problems = Problems(on_error)
    wanted = [target, split, group, *(columns or ()), *ignore, *categorical]
    parts = {}
    for name, key, file in (("train", "path", path), ("val", "val_path", val_path), ("test", "test_path", test_path)):
        if file is not None:
            parts[name] = read_rows(
                file,
                problems,
                delimiter=delimiter,
                header=header,
                encoding=encoding,
                wanted=[column for column in wanted if column is not None],
                key=f"data.{key}",
            )
    train = parts["train"]
    parts = {name: train if name == "train" else like(rows, train, f"data.{name}_path") for name, rows in parts.items()}
    if split is not None:
        place = train.place(split, "data.split")
        parts = by_word(train, place, problems)
        ignore = (*ignore, place)
    return examples_of(parts, problems, Choice(target, group, columns, ignore, categorical, missing, task))


def like(rows: Rows, train: Rows, key: str) -> Rows:
    """Rows of another file with the columns of `train`, found by name. Raises ValueError where one is not there."""
    if lacking := [name for name in train.names if name not in rows.names]:
        raise ValueError(f"{key}={rows.path}: no column {', '.join(lacking)}; {train.path.name} has it")
    places = [rows.names.index(name) for name in train.names]
    return Rows(rows.path, train.names, [[cells[place] for place in places] for cells in rows.cells], rows.lines)


def by_word(rows: Rows, place: int, problems: Problems) -> dict[str, Rows]:
    """The rows by what stands in column `place`: train, val or test."""
    chosen: dict[str, list[int]] = {}
    for row, cells in enumerate(rows.cells):
        name = split_of(cells[place])
        if name is None:
            problems.add(rows.where(row), f"split {cells[place]!r}, expected train, val or test")
        else:
            chosen.setdefault(name, []).append(row)
    if "train" not in chosen:
        problems.settle()
        raise ValueError(f"data.split={rows.names[place]}: no row of {rows.path} is of the split train")
    return {name: rows.taken(numbers) for name, numbers in chosen.items()}
