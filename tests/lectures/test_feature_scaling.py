from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dlkit.lectures.feature_scaling import Bowl, body_mass
from dlkit.types import Batch


def test_the_bowl_is_the_training_loss_over_both_weights() -> None:
    x, y = torch.randn(50, 1) * 3 + 10, torch.randn(50, 1)
    bowl = Bowl(SimpleNamespace(examples=lambda split: Batch(x, y)))  # type: ignore[arg-type]
    points = np.random.default_rng(0).standard_normal((7, 2))

    def loss(slope: float, intercept: float) -> float:
        return float((slope * x + intercept - y).square().mean())

    least = loss(*bowl.lowest)
    assert bowl.above(points).tolist() == pytest.approx([loss(*point) - least for point in points], rel=1e-4)
    assert bowl.above(bowl.lowest) == 0


def test_the_body_mass_index_is_in_kilograms_per_square_metre() -> None:
    x, y = body_mass().splits["train"]
    assert x.shape == (442, 1) and y.shape == (442, 1)
    assert x.min() == 18 and x.max() == pytest.approx(42.2)
