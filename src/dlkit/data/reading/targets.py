"""What a table's target column says: classes, or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlkit.data.reading.classes import named_classes, stranger
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import Rows, number

Task = Literal["auto", "classification", "regression"]
FEW = 20  # different whole numbers, at most, that are taken as classes
MOSTLY = 0.9  # the share of numbers from which on other words are taken as mistakes


@dataclass(frozen=True)
class Targets:
    """The task, names of classes, and by split the rows that have a target with its class or number."""

    task: str
    classes: tuple[str, ...]
    y: dict[str, list[tuple[int, float]]]
    notes: tuple[str, ...]

    def tensor(self, y: list[float]) -> Tensor:
        """int64 (N,), or float32 (N, 1)."""
        return torch.tensor(y).long() if self.task == "classification" else torch.tensor(y).float().unsqueeze(1)


def targets(
    parts: dict[str, Rows],
    target: int,
    task: Task,
    problems: Problems,
    key: str = "data.target",
    classes: Sequence[str | int] | None = None,
) -> Targets:
    """Reads column `target` of every split. `auto` takes the task from the training rows, see `told`, but where
    `classes` are named: it is classification then, and a class may have any number of rows.

    Rows go to `problems` where the target is missing, is no number in a regression, is a class that is not named, that
    no training row has, or the only training row of its class. Raises ValueError, which names the config's `key`, where
    the whole column is of no use, and for `classes` of a regression.
    """
    named = named_classes(classes, _label)
    if named and task == "regression":
        raise ValueError("data.classes: targets of a regression are numbers, not classes (data.task); leave it out")
    given = {name: _given(rows, target, problems) for name, rows in parts.items()}
    name, train = parts["train"].names[target], [cell for _, cell in given["train"]]
    notes: tuple[str, ...] = ()
    if task == "auto" and train and not named:
        task = told(train)
        notes = (f"task: {task}, as target {name} has {_described(train)} (data.task)",)
    if task == "regression":
        if train and all(number(cell) is None for cell in train):
            raise ValueError(f"{key}={name}: no training row has a number there ({train[0]!r}), as regression needs")
        return Targets(task, (), {split: _numbers(parts[split], given[split], problems) for split in parts}, notes)
    found = named or _trainable(parts["train"], given["train"], f"{key}={name}", problems)
    places = {_label(label): place for place, label in enumerate(found)}
    y: dict[str, list[tuple[int, float]]] = {}
    for split, cells in given.items():
        y[split] = [(row, places[_label(cell)]) for row, cell in cells if _label(cell) in places]
        for row, cell in cells if named or split != "train" else []:
            if _label(cell) not in places:
                why = stranger(cell, named) if named else f"class {cell!r} is in no training row"
                problems.add(parts[split].where(row), why)
    return Targets("classification", found, y, notes)


def told(cells: list[str]) -> Literal["classification", "regression"]:
    """The task that a target's cells speak for.

    Regression where at least nine cells in ten are numbers, unless these are whole and few: at most 20 different ones,
    each on average in two rows or more.
    """
    values = [value for cell in cells if (value := number(cell)) is not None]
    if len(values) < MOSTLY * len(cells):
        return "classification"
    kinds = set(values)
    few = len(values) == len(cells) and len(kinds) <= min(FEW, len(cells) / 2)
    return "classification" if few and all(value.is_integer() for value in kinds) else "regression"


def _given(rows: Rows, target: int, problems: Problems) -> list[tuple[int, str]]:
    """Number and target of the rows that have one."""
    for row, cells in enumerate(rows.cells):
        if not cells[target]:
            problems.add(rows.where(row), f"target {rows.names[target]} is missing")
    return [(row, cells[target]) for row, cells in enumerate(rows.cells) if cells[target]]


def _numbers(rows: Rows, given: list[tuple[int, str]], problems: Problems) -> list[tuple[int, float]]:
    y = []
    for row, cell in given:
        value = number(cell)
        if value is None:
            problems.add(rows.where(row), f"target {cell!r} is no number (data.task=classification: words are classes)")
        else:
            y.append((row, value))
    return y


def _trainable(rows: Rows, given: list[tuple[int, str]], where: str, problems: Problems) -> tuple[str, ...]:
    """The classes with two training rows or more; the one row of another class is a problem."""
    counts = Counter(_label(cell) for _, cell in given)
    classes = tuple(sorted((label for label, count in counts.items() if count > 1), key=_order))
    if len(given) > 1 and not classes:
        raise ValueError(f"{where}: another one in each of {len(given):,} training rows, so these are no classes")
    for row, cell in given:
        if counts[_label(cell)] == 1:
            problems.add(rows.where(row), f"class {cell!r} has this one training row only; two are needed")
    if given and len(classes) < 2:
        raise problems.too_few(f"{where}: {len(classes)} classes with two or more training rows, expected at least 2")
    return classes


def _label(cell: str) -> str:
    """The name of a class: 1 and 1.0 are the same one."""
    value = number(cell)
    return str(int(value)) if value is not None and value.is_integer() else cell


def _order(label: str) -> tuple[float, str]:
    """Numbers by size before words by letter."""
    value = number(label)
    return (float("inf") if value is None else value, label)


def _described(cells: list[str]) -> str:
    kinds = len({_label(cell) for cell in cells})
    return (
        f"{kinds:,} different {'numbers' if number(cells[0]) is not None else 'words'} in {len(cells):,} training rows"
    )
