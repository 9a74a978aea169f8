"""Sheets of small pictures."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dlkit.plots.tiles import GAP, TILE, colours, spectrograms, tiled


def page(pictures: list[np.ndarray], captions: list[list[str]], marked: list[bool]) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(tiled(pictures, captions, marked))))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (28, 28), (5, 9), (300, 200), (112, 3)])
def test_pictures_of_any_size_fit_into_their_tile(size: tuple[int, int]) -> None:
    shown = page([np.zeros((*size, 3), np.uint8)], [["c" * 60]], [False])
    dark = np.argwhere((shown < 50).all(2))
    inside = dark[dark[:, 0] < GAP + TILE]
    assert inside.min(0).min() >= GAP and inside.max(0).max() < GAP + TILE
    assert np.ptp(inside, 0).max() + 1 > TILE * 0.7


def test_sixteen_pictures_stand_in_a_square() -> None:
    shown = page([np.zeros((8, 8, 3), np.uint8)] * 16, [["a"]] * 16, [False] * 16)
    assert shown.shape[1] == 4 * (TILE + 2 * GAP) and shown.shape[0] % 4 == 0


def test_three_channels_are_colours_and_others_are_grey() -> None:
    image = np.array([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1)
    assert colours(image)[0, 0, 0].tolist() == [0, 128, 255]
    assert colours(image[:, ::2])[0, 0, 0].tolist() == [128, 128, 128]


def test_a_spectrogram_has_low_frequencies_below_and_white_after_its_end() -> None:
    power = np.full((65, 10), 1e-9)
    power[3] = 1.0  # a low tone
    short, long = spectrograms([power[:, :5], power])
    bright = long.astype(int).sum(2)
    assert bright[-10:].max() > bright[: TILE // 2].max() and (short[:, TILE // 2 + 1 :] == 255).all()
    assert (long == 255).all(2).sum() == 0
