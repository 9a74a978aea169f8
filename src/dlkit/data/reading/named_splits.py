"""Splits that a user's files name: by folders, by files of their own, or by the words of a column."""

from __future__ import annotations

from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import Rows

NAMES = {  # what people call them
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def split_of(word: str) -> str | None:
    """train, val or test for what people call them; None for anything else."""
    bare = word.strip().lower()
    return next((name for name, aliases in NAMES.items() if bare in aliases), None)


def split_files(path: str, val_path: str | None, test_path: str | None, by_column: bool) -> dict[str, tuple[str, str]]:
    """The key of the config and the file of each split that has one. Raises ValueError where a column splits too."""
    if by_column and (val_path or test_path):
        raise ValueError("data.split: the splits are in a column, or in val_path and test_path; not in both")
    files = {"train": ("data.path", path), "val": ("data.val_path", val_path), "test": ("data.test_path", test_path)}
    return {name: (key, file) for name, (key, file) in files.items() if file is not None}


def by_word(rows: Rows, place: int, problems: Problems) -> dict[str, Rows]:
    """The rows by what stands in column `place`: train, val or test."""
    chosen: dict[str, list[int]] = {}
    for row, cells in enumerate(rows.cells):
        name = split_of(cells[place])
        if name is None:
            problems.add(rows.where(row), f"split {cells[place]!r}, expected train, val or test")
        else:
            chosen.setdefault(name, []).append(row)
    if rows.cells and not chosen:
        said = sorted({repr(cells[place]) for cells in rows.cells})
        some = ", ".join(said[:3]) + (" …" if len(said) > 3 else "")
        raise ValueError(f"data.split={rows.names[place]}: no row of {rows.path} says train, val or test, but {some}")
    if "train" not in chosen:
        problems.settle()
        raise ValueError(f"data.split={rows.names[place]}: no row of {rows.path} is of the split train")
    return {name: rows.taken(numbers) for name, numbers in chosen.items()}
