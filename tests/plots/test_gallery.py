"""Images side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.plots.gallery import gallery
from dlkit.plots.style import save


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_gallery_shows_the_pixels_as_they_are(channels: int) -> None:
    images = np.arange(7 * channels * 4, dtype=np.uint8).reshape(7, channels, 2, 2)
    axes = gallery(images, [f"{i} -> 0 0.98" for i in range(7)]).axes
    drawn = [each for each in axes if each.images]
    assert len(drawn) == 7 and drawn[6].get_title() == "6 -> 0 0.98"
    expected = images[6].transpose(1, 2, 0) if channels == 3 else images[6].mean(0)
    assert np.allclose(np.asarray(drawn[6].images[0].get_array()) * 255, expected)
    assert drawn[6].images[0].get_interpolation() == "nearest"


def test_a_gallery_takes_25_images_at_most_and_none(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(30, 1, 4, 4)).astype(np.float32)  # not from 0 to 1
    drawn = [each for each in gallery(images, ["x"] * 30).axes if each.images]
    assert len(drawn) == 25
    values = np.concatenate([np.asarray(each.images[0].get_array()) for each in drawn])
    assert (values.min(), values.max()) == pytest.approx((0, 1))
    save(gallery(images[:0], []), tmp_path / "none.png")


@pytest.mark.parametrize("name", ["$a$ and $^$", "漢字\nb", "long " * 20, ""])
def test_any_caption_can_be_drawn(name: str, tmp_path: Path) -> None:
    save(gallery(np.zeros((1, 3, 4, 4), np.uint8), [f"{name} -> dog 0.98"]), tmp_path / "sheet.png")
