from __future__ import annotations

import numpy as np

from dlkit.lectures.trajectories import arrival, distances, nearest


def test_it_has_arrived_where_it_comes_near_a_minimum_for_good() -> None:
    points = np.array([[3, 0], [0.05, 0], [1, 0], [0.05, 0], [0, 0]], dtype=float)
    assert arrival("ravine", points) == 3
    assert arrival("ravine", points[:3]) == np.inf


def test_of_several_minima_the_nearest_counts() -> None:
    points = np.array([[0, 0], [0, -0.9]], dtype=float)
    assert distances("saddle", points).round(6).tolist() == [1, 0.1]
    assert nearest("saddle", points) == 1
