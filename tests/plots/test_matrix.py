"""The confusion matrix: what stands in it, whatever the names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlkit.plots.matrix import confusion
from dlkit.plots.style import save


def matrix(classes: int) -> list[list[int]]:
    return (np.eye(classes, dtype=int) * 8 + 1).tolist()


def test_it_shows_shares_of_rows_and_counts() -> None:
    figure = confusion([[8, 2, 0], [1, 1, 0], [0, 0, 0]], ("cat", "dog", "owl"))
    axes = figure.axes[0]
    shares = np.asarray(axes.images[0].get_array())
    assert shares.tolist() == [[0.8, 0.2, 0], [0.5, 0.5, 0], [0, 0, 0]]  # a class without examples is blank
    assert [text.get_text() for text in axes.texts] == ["8", "2", "1", "1"]
    assert axes.get_title() == "accuracy 0.7500 of 12 examples"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "owl"]


def test_many_classes_have_names_but_no_counts_and_very_many_neither() -> None:
    hundred = confusion(matrix(100), [f"c{i}" for i in range(100)]).axes[0]
    assert not hundred.texts and hundred.get_xticklabels()[99].get_text() == "c99"
    labels = confusion(matrix(300), [f"c{i}" for i in range(300)]).axes[0].get_xticklabels()
    assert not {label.get_text() for label in labels} & {"c0", "c299"}


@pytest.mark.parametrize("name", ["$a$ and $^$", "漢字\nb", "long " * 20, ""])
def test_any_name_of_a_class_can_be_drawn(name: str, tmp_path: Path) -> None:
    save(confusion([[1, 0], [1, 2]], (name, "dog")), tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width < 1000
