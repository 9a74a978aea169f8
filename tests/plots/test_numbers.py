"""Clouds of predicted against true numbers."""

from __future__ import annotations

import numpy as np

from dlkit.plots.numbers import predicted


def test_a_cloud_shows_each_target_and_no_more_points_than_can_be_seen() -> None:
    y = np.random.default_rng(0).normal(size=(6000, 5))
    figure = predicted(y, y + 1)
    assert len(figure.axes) == 8 and figure.get_suptitle() == "5,000 of 6,000 examples, 4 of 5 targets"
    errors = np.asarray(figure.axes[1].collections[0].get_offsets())[:, 1]
    assert len(errors) == 5000 and np.allclose(errors, 1)
