from __future__ import annotations

import numpy as np
import pytest

from dlkit.plots.contours import contours, minimum, path, start
from dlkit.plots.style import axes_of, blank


def test_lines_of_equal_height_grow_apart_by_a_constant_factor_up_to_the_highest_point() -> None:
    (axes,) = axes_of(blank())
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-2, 2, 31))
    heights = 5 + x**2 + y**2
    contours(axes, x, y, heights, levels=5)
    lines = axes.collections[-1].levels
    np.testing.assert_allclose(lines, 5 + 5 * np.array([1e-4, 1e-3, 1e-2, 1e-1, 1]))


def test_points_without_a_height_do_not_spoil_the_lines() -> None:
    (axes,) = axes_of(blank())
    heights = np.array([[1.0, 2.0, 3.0], [2.0, np.nan, 4.0], [3.0, 4.0, 5.0]])
    contours(axes, range(3), range(3), heights)
    assert axes.collections[-1].levels[-1] == pytest.approx(5)


def test_a_flat_surface_has_no_lines() -> None:
    (axes,) = axes_of(blank())
    contours(axes, range(3), range(3), np.ones((3, 3)))
    assert not axes.collections


def test_a_path_goes_through_its_points_above_the_ring_at_its_start_and_below_the_star() -> None:
    (axes,) = axes_of(blank())
    points = [[0, 1], [2, 3], [4, 5]]
    path(axes, points, 0, label="adam")
    start(axes, points[0])
    minimum(axes, points[-1])
    way, ring, star = axes.lines
    np.testing.assert_allclose(np.column_stack(way.get_data()), points)
    assert ring.get_zorder() < way.get_zorder() < star.get_zorder()
