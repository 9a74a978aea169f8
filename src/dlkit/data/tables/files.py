"""A table of the user's: CSV, TSV or JSON lines, plain or compressed."""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.data.examples import Examples
from dlkit.data.reading.named_splits import by_word, split_files
from dlkit.data.reading.problems import OnError, Problems
from dlkit.data.reading.rows import Column, Delimiter, Header, Rows, read_rows
from dlkit.data.reading.targets import Task
from dlkit.data.tables.table import MISSING, Choice, examples_of


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
    numeric: Sequence[Column] = (),
    missing: Sequence[str] = MISSING,
    task: Task = "auto",
    classes: Sequence[str | int] | None = None,
    delimiter: Delimiter = "auto",
    header: Header = "auto",
    encoding: str = "utf-8",
    on_error: OnError = "raise",
) -> Examples:
    """Rows of a file as examples: numbers and words told apart (tables/table.py), and the task (reading/targets.py).

    Validation and test rows come from files of their own, or from the column `split`, or are cut from the training
    rows. `classes` names the classes in the order of their numbers: of these there may be any number of rows, and those
    of others are bad. Raises ValueError for columns that are not there and, unless they are skipped, for all bad rows
    by line.
    """
    files = split_files(path, val_path, test_path, split is not None)
    problems = Problems(on_error)
    wanted = [target, split, group, *(columns or ()), *ignore, *categorical, *numeric]
    parts: dict[str, Rows] = {}
    for name, (key, file) in files.items():
        rows = read_rows(
            file,
            problems,
            delimiter=delimiter,
            header=header,
            encoding=encoding,
            wanted=[column for column in wanted if column is not None],
            key=key,
        )
        parts[name] = like(rows, parts["train"], key) if parts else rows
    train = parts["train"]
    if split is not None:
        place = train.place(split, "data.split")
        parts = by_word(train, place, problems)
        ignore = (*ignore, place)
    choice = Choice(target, group, columns, ignore, categorical, numeric, missing, task, classes)
    return examples_of(parts, problems, choice)


def like(rows: Rows, train: Rows, key: str) -> Rows:
    """Rows of another file with the columns of `train`, found by name. Raises ValueError where one is not there."""
    if lacking := [name for name in train.names if name not in rows.names]:
        raise ValueError(f"{key}={rows.path}: no column {', '.join(lacking)}; {train.path.name} has it")
    places = [rows.names.index(name) for name in train.names]
    return Rows(rows.path, train.names, [[cells[place] for place in places] for cells in rows.cells], rows.lines)
