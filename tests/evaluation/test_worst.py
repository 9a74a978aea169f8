"""The worst errors as a file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dlkit.answers import worst_classes
from dlkit.evaluation.worst import write_csv

P = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.0, 0.9], [0.4, 0.35, 0.25], [0.05, 0.9, 0.05]])
CLASSES = ("cat", "dog", "owl")


def test_the_file_can_be_read_again(tmp_path: Path) -> None:
    rows = worst_classes(np.array([0, 0, 0, 0, 0]), P, P, CLASSES, count=2)
    write_csv(tmp_path / "worst.csv", rows, names=["a,b.txt", "c.txt"], texts=['so "good"', "two\nlines, é"])
    with (tmp_path / "worst.csv").open(newline="", encoding="utf-8") as file:
        back = list(csv.DictReader(file))
    assert [row["name"] for row in back] == ["a,b.txt", "c.txt"]
    assert [row["text"] for row in back] == ['so "good"', "two\nlines, é"]
    assert [float(row["p_predicted"]) for row in back] == pytest.approx([row["p_predicted"] for row in rows])


def test_without_errors_the_table_is_empty(tmp_path: Path) -> None:
    rows = worst_classes(P.argmax(1), P, P, CLASSES)
    assert rows == []
    write_csv(tmp_path / "worst.csv", rows, names=[])
    assert (tmp_path / "worst.csv").read_text() == "name,index,true,predicted\n"
