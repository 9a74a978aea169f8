"""Pictures of filters and feature maps."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.plots.filters import FILTERS, GAP, MAPS, feature_maps, filters, tiles
from dlkit.plots.style import png


def test_tiles_stand_row_by_row_with_nothing_between() -> None:
    pictures = np.arange(5 * 4).reshape(5, 2, 2).astype(float)
    sheet = tiles(pictures)
    gap = max(1, round(GAP * 2))
    assert sheet.shape == (2 * 2 + gap, 3 * 2 + 2 * gap) and np.isnan(sheet[:, 2]).all()
    assert np.array_equal(sheet[:2, :2], pictures[0]) and np.array_equal(sheet[2 + gap :, :2], pictures[3])


@pytest.mark.parametrize("shape", [(6, 1, 3, 3), (100, 1, 8, 8), (4, 3, 5, 5), (4, 2, 1, 9)])
def test_the_scale_of_filters_has_zero_in_its_middle(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(0).normal(1.0, 1.0, shape)
    figure = filters(weights, title="first")
    (image,) = figure.axes[0].images
    if shape[1] == 3:
        drawn, most = image.get_array(), np.abs(weights).max()
        np.testing.assert_allclose(drawn[:5, :5], 0.5 + weights[0].transpose(1, 2, 0) / (2 * most))
    else:
        low, high = image.get_clim()
        assert low == -high == -np.abs(weights).max()
        assert np.nanmax(np.abs(image.get_array())) <= np.abs(weights[:FILTERS]).max()
    assert len(png(figure)) > 1000


def test_feature_maps_have_a_row_for_each_layer_and_at_most_so_many_columns() -> None:
    layers = [("conv1", np.random.rand(3, 8, 8)), ("conv2", np.random.rand(20, 4, 4))]
    figure = feature_maps(np.random.rand(8, 8), layers, title="3")
    (axes,) = figure.axes
    assert len(axes.images) == 1 + 3 + MAPS
    assert [label.get_text() for label in axes.get_yticklabels()] == ["input", "conv1\n3 × 8 × 8", "conv2\n20 × 4 × 4"]
