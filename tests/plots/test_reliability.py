"""The reliability diagram."""

from __future__ import annotations

import numpy as np
import pytest

from dlkit.calibration import reliability_bins
from dlkit.plots.reliability import reliability


def test_it_has_the_accuracy_of_each_bin_and_the_error() -> None:
    confidence, correct = np.array([0.95, 0.95, 0.62, 1.0]), np.array([True, False, True, True])
    above, below = reliability(*reliability_bins(confidence, correct)).axes
    assert above.get_title() == "expected calibration error 0.3200"  # (|1 - 0.62| + |2 - 2.9|) / 4
    heights = [patch.get_height() for patch in above.containers[0]]
    assert heights == pytest.approx([1, 2 / 3])
    assert sum(patch.get_height() for patch in below.containers[0]) == pytest.approx(1)
    assert [text.get_text() for text in below.get_legend().get_texts()] == [
        "accuracy 0.7500",
        "mean confidence 0.8800",
    ]
