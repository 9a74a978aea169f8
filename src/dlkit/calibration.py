"""How well the probability of the predicted class tells how often it is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlkit.answers import Array

BINS = 15  # of the expected calibration error, as in Guo et al. 2017


def reliability_bins(confidence: Array, correct: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Of `BINS` equal bins of the confidence (N,): examples, mean confidence and accuracy, each (BINS,), 0 if empty.

    A bin has its upper edge, not its lower one.
    """
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins, minlength=BINS).astype(np.float64)
    sums = (np.bincount(bins, weights=values, minlength=BINS) for values in (confidence, correct))
    mean_confidence, accuracy = (total / np.maximum(counts, 1) for total in sums)
    return counts, mean_confidence, accuracy


def calibration_error(counts: Array, confidence: Array, accuracy: Array) -> float:
    """`Σ_b (n_b / N) |accuracy_b − confidence_b|` over bins (Guo et al. 2017, equation 3)."""
    return float(counts @ np.abs(accuracy - confidence) / counts.sum())
