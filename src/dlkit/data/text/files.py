"""Texts of the user's: a table with a column of texts, or a folder of text files for each class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from dlkit.data.decoded import content, decoded
from dlkit.data.examples import Examples
from dlkit.data.folders import list_classes
from dlkit.data.groups import find_groups, numbered, pattern_of
from dlkit.data.problems import OnError, Problems
from dlkit.data.raw import Texts
from dlkit.data.rows import Column, Delimiter, Header, Rows, read_rows
from dlkit.data.tables.files import by_word
from dlkit.data.targets import targets

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
    delimiter: Delimiter = "auto",
    header: Header = "auto",
    quoting: bool = True,
    encoding: str = "utf-8",
    on_error: OnError = "raise",
) -> Examples:
    """Texts and their classes from CSV, TSV or JSON lines, plain or compressed (`rows.read_rows`).

    Several columns of text are joined by a space. Validation and test rows come from files of their own, or from the
    column `split`, or are cut from the training rows. The classes are the different labels of the training rows,
    numbers by size before words by letter. Raises ValueError for columns that are not there and, unless they are
    skipped, for all bad rows by line: no text, no label, a class of one row or, in the other splits, of none.
    """
    if split is not None and (val_path or test_path):
        raise ValueError("data.split: the splits are in a column, or in val_path and test_path; not in both")
    columns = [text] if isinstance(text, str | int) else list(text)
    if not columns:
        raise ValueError("data.text=[]: name the column of texts, or several of them")
    more = {key: column for key, column in (("split", split), ("group", group)) if column is not None}
    problems, parts = Problems(on_error), {}
    for name, key, file in (("train", "path", path), ("val", "val_path", val_path), ("test", "test_path", test_path)):
        if file is None:
            continue
        rest = {"label": label, **(more if name == "train" else {})}
        rows = read_rows(
            file,
            problems,
            delimiter=delimiter,
            header=header,
            quoting=quoting,
            encoding=encoding,
            wanted=[*columns, *rest.values()],
            key=f"data.{key}",
        )
        parts[name] = _picked(rows, columns, rest, problems)
    if split is not None:
        parts = by_word(parts["train"], REST, problems)
    return _examples(parts, None if group is None else REST + len(more) - 1, problems)


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


def _examples(parts: dict[str, Rows], group: int | None, problems: Problems) -> Examples:
    found = targets(parts, LABEL, "classification", problems)
    notes = problems.settle()
    splits, kept = {}, {name: rows.taken([row for row, _ in found.y[name]]) for name, rows in parts.items()}
    for name, rows in kept.items():
        if not rows.cells:
            raise ValueError(f"{rows.path}: no rows are left for the {name} split")
        y = torch.tensor([int(label) for _, label in found.y[name]], dtype=torch.int64)
        splits[name] = (Texts(rows.column(TEXT)), y)
    groups = None if group is None else numbered(kept["train"].column(group))
    return Examples("text", "classification", splits, found.classes, groups, notes=notes)


def text_folder(
    *, root: str, encoding: str = "utf-8", group: str | None = None, on_error: OnError = "raise"
) -> Examples:
    """Texts from a folder of `.txt` files for each class (`folders.list_classes`).

    `group` is a regular expression with one group, looked for in the path below `root`: what it finds is in one split
    only. Raises ValueError with every file that cannot be used, or leaves them out.
    """
    problems, pattern = Problems(on_error), pattern_of(group) if group else None
    folder = Path(root).expanduser()
    found = list_classes(folder, {".txt"}, problems)
    texts = {path: _read(path, encoding, problems) for path in found.every_path()}
    found = found.without({path for path, text in texts.items() if text is None}, problems)
    names: dict[Path, str] = {}
    if pattern:
        names = find_groups(folder, found.paths("train"), pattern, problems)
        found = found.without(set(found.paths("train")) - set(names), problems)
    notes = problems.settle()
    groups = numbered([names[path] for path in found.paths("train")]) if pattern else None
    splits = {
        name: (Texts([texts[path] or "" for path in found.paths(name)]), found.labels(name)) for name in found.splits
    }
    return Examples("text", "classification", splits, found.classes, groups, notes=notes)


def _read(path: Path, encoding: str, problems: Problems) -> str | None:
    """The text of a file; None where it has none or is not in this encoding, which is then a problem."""
    text, undecodable = decoded(path, content(path, "data.root"), encoding, problems)
    if undecodable:
        return None
    if not text.strip():
        problems.add(str(path), "the text is empty")
        return None
    return text
