"""What stands in the pictures; that none of them warns, whatever the names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlkit.evaluation import pictures


def matrix(classes: int) -> list[list[int]]:
    return (np.eye(classes, dtype=int) * 8 + 1).tolist()


def test_a_confusion_matrix_shows_shares_of_rows_and_counts() -> None:
    figure = pictures.confusion([[8, 2, 0], [1, 1, 0], [0, 0, 0]], ("cat", "dog", "owl"))
    axes = figure.axes[0]
    shares = np.asarray(axes.images[0].get_array())
    assert shares.tolist() == [[0.8, 0.2, 0], [0.5, 0.5, 0], [0, 0, 0]]  # a class without examples is blank
    assert [text.get_text() for text in axes.texts] == ["8", "2", "1", "1"]
    assert axes.get_title() == "accuracy 0.7500 of 12 examples"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "owl"]


def test_many_classes_have_names_but_no_counts_and_very_many_neither() -> None:
    hundred = pictures.confusion(matrix(100), [f"c{i}" for i in range(100)]).axes[0]
    assert not hundred.texts and hundred.get_xticklabels()[99].get_text() == "c99"
    labels = pictures.confusion(matrix(300), [f"c{i}" for i in range(300)]).axes[0].get_xticklabels()
    assert not {label.get_text() for label in labels} & {"c0", "c299"}


@pytest.mark.parametrize("name", ["$a$ and $^$", "漢字\nb", "long " * 20, ""])
def test_any_name_of_a_class_can_be_drawn(name: str, tmp_path: Path) -> None:
    pictures.save(pictures.confusion([[1, 0], [1, 2]], (name, "dog")), tmp_path / "confusion.png")
    image = np.zeros((1, 3, 4, 4), np.uint8)
    pictures.save(pictures.sheet(image, [f"{name} -> dog 0.98"]), tmp_path / "sheet.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.width < 1000


def test_a_reliability_diagram_has_the_accuracy_of_each_bin_and_the_error() -> None:
    confidence, correct = np.array([0.95, 0.95, 0.62, 1.0]), np.array([True, False, True, True])
    above, below = pictures.reliability(confidence, correct).axes
    assert above.get_title() == "expected calibration error 0.3200"  # (|1 - 0.62| + |2 - 2.9|) / 4
    heights = [patch.get_height() for patch in above.containers[0]]
    assert heights == pytest.approx([1, 2 / 3])
    assert sum(patch.get_height() for patch in below.containers[0]) == pytest.approx(1)


def test_a_cloud_shows_each_target_and_no_more_points_than_can_be_seen() -> None:
    y = np.random.default_rng(0).normal(size=(6000, 5))
    figure = pictures.predicted(y, y + 1)
    assert len(figure.axes) == 8 and figure.get_suptitle() == "5,000 of 6,000 examples, 4 of 5 targets"
    errors = np.asarray(figure.axes[1].collections[0].get_offsets())[:, 1]
    assert len(errors) == 5000 and np.allclose(errors, 1)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_sheet_shows_the_pixels_as_they_are(channels: int) -> None:
    images = np.arange(7 * channels * 4, dtype=np.uint8).reshape(7, channels, 2, 2)
    axes = pictures.sheet(images, [f"{i} -> 0 0.98" for i in range(7)]).axes
    drawn = [each for each in axes if each.images]
    assert len(drawn) == 7 and drawn[6].get_title() == "6 -> 0 0.98"
    expected = images[6].transpose(1, 2, 0) if channels == 3 else images[6].mean(0)
    assert np.allclose(np.asarray(drawn[6].images[0].get_array()) * 255, expected)
    assert drawn[6].images[0].get_interpolation() == "nearest"


def test_a_sheet_takes_25_images_at_most_and_none(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(30, 1, 4, 4)).astype(np.float32)  # not from 0 to 1
    drawn = [each for each in pictures.sheet(images, ["x"] * 30).axes if each.images]
    assert len(drawn) == 25
    values = np.concatenate([np.asarray(each.images[0].get_array()) for each in drawn])
    assert (values.min(), values.max()) == pytest.approx((0, 1))
    pictures.save(pictures.sheet(images[:0], []), tmp_path / "none.png")
