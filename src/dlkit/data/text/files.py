"""Texts of the user's: a table with a column of texts, or a folder of text files for each class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from dlkit.data.examples import Examples
from dlkit.data.raw import Texts
from dlkit.data.reading.decoded import NoText, content, decoded
from dlkit.data.reading.folders import list_classes
from dlkit.data.reading.groups import PathGroups, numbered
from dlkit.data.reading.named_splits import by_word, split_files
from dlkit.data.reading.problems import OnError, Problems
from dlkit.data.reading.rows import Column, Delimiter, Header, Rows, read_rows
from dlkit.data.reading.targets import targets

HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can write it, no encoding can
TEXT, LABEL, REST = 0, 1, 2  # columns of rows from `_picked`


def text_csv(
    *,
    path: str,
    text: Column | Sequence[Column],
    label: Column,
    val_path: str | None = None,
    test_path: str | None = None,
    split: Column | None = None,
    group: Column | None = None,
    classes: Sequence[str | int] | None = None,
    delimiter: Delimiter = "auto",
    header: Header = "auto",
    quoting: bool = True,
    encoding: str = "utf-8",
    on_error: OnError = "raise",
) -> Examples:
    """Texts and their classes from CSV, TSV or JSON lines, plain or compressed (`rows.read_rows`).

    Several columns of text are joined by a space. Validation and test rows come from files of their own, or from the
    column `split`, or are cut from the training rows. The classes are `classes`, in the order of their numbers and with
    any number of rows; where it is null the different labels of the training rows, numbers by size before words by
    letter. Raises ValueError for columns that are not there and, unless they are skipped, for all bad rows by line: no
    text, no label, a class that is not in `classes`, or, where it is null, one of one row or, in the other splits, of
    none.
    """
    files = split_files(path, val_path, test_path, split is not None)
    columns = [text] if isinstance(text, str | int) else list(text)
    if not columns:
        raise ValueError("data.text=[]: name the column of texts, or several of them")
    more = {key: column for key, column in (("split", split), ("group", group)) if column is not None}
    problems, parts = Problems(on_error), {}
    for name, (key, file) in files.items():
        rest = {"label": label, **(more if name == "train" else {})}
        rows = read_rows(
            file,
            problems,
            delimiter=delimiter,
            header=header,
            quoting=quoting,
            encoding=encoding,
            wanted=[*columns, *rest.values()],
            key=key,
        )
        parts[name] = _picked(rows, columns, rest, problems)
    if split is not None:
        parts = by_word(parts["train"], REST, problems)
    return _examples(parts, None if group is None else REST + len(more) - 1, problems, classes)


def _picked(rows: Rows, texts: Sequence[Column], rest: dict[str, Column], problems: Problems) -> Rows:
    """Rows of the text, joined from its columns, and the other columns; a row that lacks one of them is a problem."""
    from_places = [rows.place(column, "data.text") for column in texts]
    to_places = [rows.place(column, f"data.{key}") for key, column in rest.items()]
    names = (" ".join(rows.names[place] for place in from_places), *(rows.names[place] for place in to_places))
    picked = Rows(rows.path, names, [], [])
    for row, cells in enumerate(rows.cells):
        joined = " ".join(filter(None, (cells[place].strip() for place in from_places)))
        kept = [joined, *(cells[place].strip() for place in to_places)]
        empty = [name for name, cell in zip(names, kept, strict=True) if not cell]
        if empty:
            problems.add(rows.where(row), f"{' and '.join(empty)} empty")
        elif HALF_CHARACTER.search(joined):
            problems.add(rows.where(row), "half a character in the text")
        else:
            picked.cells.append(kept)
            picked.lines.append(rows.lines[row])
    return picked


def _examples(
    parts: dict[str, Rows], group: int | None, problems: Problems, classes: Sequence[str | int] | None
) -> Examples:
    found = targets(parts, LABEL, "classification", problems, "data.label", classes)
    notes = problems.settle()
    splits, kept = {}, {name: rows.taken([row for row, _ in found.y[name]]) for name, rows in parts.items()}
    for name, rows in kept.items():
        if not rows.cells:
            raise problems.too_few(f"{rows.path}: no rows are left for the {name} split")
        y = torch.tensor([int(label) for _, label in found.y[name]], dtype=torch.int64)
        splits[name] = (Texts(rows.column(TEXT)), y)
    groups = None if group is None else numbered(kept["train"].column(group))
    names = {name: rows.origins() for name, rows in kept.items()}
    return Examples("text", "classification", splits, found.classes, groups, notes=notes, names=names)


def text_folder(
    *,
    root: str,
    encoding: str = "utf-8",
    group: str | None = None,
    classes: Sequence[str | int] | None = None,
    on_error: OnError = "raise",
) -> Examples:
    """Texts from a folder of `.txt` files for each class (`folders.list_classes`).

    `group` is a regular expression with one group, looked for in the path below `root`: what it finds is in one split
    only. `classes` names the classes in the order of their numbers: of these there may be any number of files, and
    those of others cannot be used. Raises ValueError with every file that cannot be used, or leaves them out.
    """
    problems, groups = Problems(on_error), PathGroups(group)
    folder = Path(root).expanduser()
    found = list_classes(folder, {".txt"}, problems, classes=classes)
    texts = {path: _read(path, encoding, problems) for path in found.every_path()}
    found = found.without({path for path, text in texts.items() if text is None}, problems)
    found = found.without(groups.find(folder, found.paths("train"), problems), problems)
    notes = problems.settle()
    splits = {
        name: (Texts([texts[path] or "" for path in found.paths(name)]), found.labels(name)) for name in found.splits
    }
    numbers = groups.numbers(found.paths("train"))
    return Examples("text", "classification", splits, found.classes, numbers, notes=notes, names=found.names())


def _read(path: Path, encoding: str, problems: Problems) -> str | None:
    """The text of a file; None where it has none or is not in this encoding, which is then a problem."""
    try:
        text, undecodable = decoded(path, content(path, "data.root"), encoding, problems)
    except NoText as error:
        problems.add(str(path), error.why)
        return None
    if undecodable:
        return None
    if not text.strip():
        problems.add(str(path), "the text is empty")
        return None
    return text
