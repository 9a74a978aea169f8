"""The number that the lecture on landscapes reads off a surface."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.landscape.surface import Surface
from dlkit.lectures.landscape import DISTANCE, LINE, rise


def test_the_rise_of_a_bowl_is_that_at_the_distance_whatever_its_depth() -> None:
    bowl = 3 * (LINE**2 + LINE[:, None] ** 2) + 5
    assert rise(Surface(LINE, LINE, bowl)) == pytest.approx(3 * DISTANCE**2, rel=0.15)
    assert rise(Surface(LINE, LINE, np.full_like(bowl, 2))) == 0
