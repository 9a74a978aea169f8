"""What outputs say: the worst of them, and in what order."""

from __future__ import annotations

import numpy as np

from dlkit.answers import worst_classes, worst_numbers

P = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.0, 0.9], [0.4, 0.35, 0.25], [0.05, 0.9, 0.05]])
CLASSES = ("cat", "dog", "owl")


def test_the_surest_errors_come_first() -> None:
    rows = worst_classes(np.array([0, 0, 1, 2, 2]), P, P, CLASSES)
    assert [row["index"] for row in rows] == [2, 4, 1, 3]  # of two as sure, the one that gave the truth less
    assert rows[0] == {"index": 2, "true": "dog", "predicted": "owl", "p_predicted": 0.9, "p_true": 0.0}
    assert [row["index"] for row in worst_classes(np.array([0, 0, 1, 2, 2]), P, P, CLASSES, count=2)] == [2, 4]


def test_without_probabilities_the_margin_decides() -> None:
    scores = np.array([[-3.0], [2.0], [-0.5], [4.0]])
    rows = worst_classes(np.array([1, 0, 1, 1]), scores, None, ("no", "yes"))
    assert [(row["index"], row["true"], row["margin"]) for row in rows] == [
        (0, "yes", 3),
        (1, "no", 2),
        (2, "yes", 0.5),
    ]
    both = np.concatenate([-scores, scores], 1) / 2
    assert worst_classes(np.array([1, 0, 1, 1]), both, None, ("no", "yes")) == rows


def test_errors_of_numbers_are_compared_in_deviations_of_their_target() -> None:
    y = np.array([[0.0, 0.0], [2.0, 200.0], [0.0, 0.0], [2.0, 200.0]])  # deviations 1 and 100
    out = y + np.array([[0.5, 10], [-2, 10], [0, 150], [0, 0]])
    rows = worst_numbers(y, out, count=3)
    assert [(row["index"], row["target"]) for row in rows] == [(1, 0), (2, 1), (0, 0)]
    assert rows[0] == {"index": 1, "target": 0, "true": 2, "predicted": 0, "error": -2, "deviations": 2}
    assert "target" not in worst_numbers(y[:, :1], out[:, :1])[0]
    assert worst_numbers(np.ones((1, 1)), np.full((1, 1), 4.0))[0]["deviations"] == 3  # nothing to compare with
