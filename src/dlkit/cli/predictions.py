"""Predictions as a table, CSV or JSON lines, written as they come."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlkit.predict import Prediction
    from dlkit.types import Spec

TOP = 3  # classes shown in the table
SHOWN = 60  # characters of an input there
Write = Callable[[list["Prediction"]], None]


def _table(file: IO[str], spec: Spec, top: int | None) -> Write:
    """Lines for the eye: the input, then the classes and how probable they are."""
    width = 0
    classes = max((len(name) for name in spec.classes), default=0)

    def write(batch: list[Prediction]) -> None:
        nonlocal width
        names = [_shown(one.input, spec) for one in batch]
        width = max(width, *map(len, names))
        for name, one in zip(names, batch, strict=True):
            figures = list((one.probabilities or one.scores).items())[: top or TOP]
            digits = ".3f" if one.probabilities else ".4g"
            said = [f"{label:<{classes}} {value:{digits}}" for label, value in figures]
            said += [f"{value:.6g}" for value in one.values]
            print(f"{name:<{width}}  {'  '.join(said)}", file=file)

    return write


def _csv(file: IO[str], spec: Spec, _: int | None) -> Write:
    """Input, label and its probability, and a column for every class; or the numbers of a regression."""
    writer = csv.writer(file, lineterminator="\n")
    begun = False

    def write(batch: list[Prediction]) -> None:
        nonlocal begun
        kind = "score" if batch[0].scores else "probability"
        if not begun and spec.task == "regression":
            count = len(batch[0].values)
            writer.writerow(["input", *(["value"] if count == 1 else [f"value_{i}" for i in range(1, count + 1)])])
        elif not begun:
            short = "p" if kind == "probability" else "score"
            writer.writerow(["input", "label", kind, *(f"{short}({name})" for name in spec.classes)])
        begun = True
        for one in batch:
            if spec.task == "regression":
                writer.writerow([one.input, *map(_number, one.values)])
                continue
            figures = one.probabilities or one.scores
            writer.writerow(
                [one.input, one.label, _number(figures[one.label]), *(_number(figures[name]) for name in spec.classes)]
            )

    return write


def _jsonl(file: IO[str], spec: Spec, top: int | None) -> Write:
    """An object a line, with all classes or the `top` most probable."""
    from dlkit.rundir import plain

    def write(batch: list[Prediction]) -> None:
        for one in batch:
            row: dict[str, Any] = {"input": one.input}
            if spec.task == "regression":
                values = [_number(value) for value in one.values]
                row |= {"value": values[0]} if len(values) == 1 else {"values": values}
            else:
                kind, many = ("score", "scores") if one.scores else ("probability", "probabilities")
                figures = {name: _number(value) for name, value in (one.scores or one.probabilities).items()}
                row |= {"label": one.label, kind: figures[one.label], many: dict(list(figures.items())[:top])}
            print(json.dumps(plain(row), ensure_ascii=False), file=file)

    return write


WRITERS: dict[str, Callable[[IO[str], Spec, int | None], Write]] = {"table": _table, "csv": _csv, "jsonl": _jsonl}


def _shown(name: str, spec: Spec) -> str:
    """The beginning of a text, or the end of a path, on one line."""
    line = " ".join(name.splitlines())
    if len(line) <= SHOWN:
        return line
    is_text = spec.kind == "tokens" and not re.search(r":\d+$", line)  # else the line of a file
    return f"{line[: SHOWN - 1]}…" if is_text else f"…{line[1 - SHOWN :]}"


def _number(value: float) -> float:
    """With the 7 digits that float32 has."""
    return float(f"{value:.7g}")
