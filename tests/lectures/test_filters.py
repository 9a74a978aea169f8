"""What the lecture on filters measures."""

from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestCentroid
from torch import nn

from dlkit.lectures.filters import layers, nearest_mean, smoothness


def test_noise_is_not_smooth_what_is_even_is_and_a_chessboard_is_the_opposite() -> None:
    assert abs(smoothness(torch.randn(2000, 5, 5))) < 0.02
    assert smoothness(torch.full((3, 5, 5), 0.7)) == pytest.approx(1)
    assert smoothness(1.0 - 2 * (torch.arange(5)[:, None] + torch.arange(5)).remainder(2)[None]) == pytest.approx(
        -25 / 25
    )


def test_the_nearest_mean_is_scikit_learns() -> None:
    x, y = torch.randn(60, 2, 3), torch.arange(60) % 3
    new, truth = torch.randn(40, 2, 3), torch.arange(40) % 3
    reference = NearestCentroid().fit(x.flatten(1), y).score(new.flatten(1), truth)
    assert nearest_mean(x, y, new, truth) == pytest.approx(reference)


def test_layers_are_those_after_each_pooling_and_before_the_last() -> None:
    pool = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*pool, nn.Flatten(), nn.Linear(48, 7), nn.ReLU(), nn.Linear(7, 2))
    found = layers(model, torch.randn(4, 1, 8, 8))
    assert {name: tuple(t.shape[1:]) for name, t in found.items()} == {
        "pixels": (1, 8, 8),
        "layer 1": (3, 4, 4),
        "dense": (7,),
    }
