"""95 % intervals of figures by the percentile bootstrap over examples (Efron and Tibshirani 1993, chapter 13).

An example drawn w times counts w times, so a resample is a column of weights, and the figures of many resamples are
products with a matrix of weights (N, B). Examples are taken to be independent: where many come from one speaker or one
patient, the true intervals are wider.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Figures = Callable[[Array], dict[str, Array]]  # weights (N, B) -> figures (B,), nan where a figure is not defined
Intervals = dict[str, list[float]]

RESAMPLES = 1000
AT_ONCE = 1_000_000  # weights held at a time, 8 MB; those of one resample at least


def bootstrap(figures: Figures, count: int, *, seed: int = 0) -> Intervals:
    """The 2.5 % and 97.5 % quantiles of each figure over `RESAMPLES` resamples of `count` examples.

    Resamples in which a figure is not defined are passed over. Equal seeds give equal intervals. Takes about 15 ns for
    an example and resample.
    """
    rng = np.random.default_rng(seed)
    width = min(RESAMPLES, max(1, AT_ONCE // count))
    parts = [
        figures(resampled(rng, count, min(width, RESAMPLES - done)).astype(np.float64))
        for done in range(0, RESAMPLES, width)
    ]
    intervals = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts])
        values = values[~np.isnan(values)]
        if len(values):
            intervals[name] = [float(bound) for bound in np.quantile(values, [0.025, 0.975])]
    return intervals


def resampled(rng: np.random.Generator, count: int, width: int) -> NDArray[np.int64]:
    """How often each of `count` examples is drawn in `width` resamples, (count, width); each column sums to `count`."""
    drawn = rng.integers(count, size=(width, count)) * width + np.arange(width)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * width).reshape(count, width)


def together(*parts: Figures) -> Figures:
    """All figures of the same resamples."""
    return lambda weights: {name: values for part in parts for name, values in part(weights).items()}


def means(values: dict[str, Array]) -> Figures:
    """Means of values per example (N,)."""
    table = np.stack(list(values.values()))
    return lambda weights: dict(zip(values, table @ weights / table.shape[1], strict=True))


def by_class(y: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Figures:
    """Balanced accuracy and macro F1 of true and predicted classes (N,).

    Means over the classes that occur in a resample, or for F1 are predicted, as in `figures.classification`.
    """
    from scipy.sparse import csr_array

    rows = np.concatenate([y, classes + predicted, 2 * classes + y[y == predicted]])
    columns = np.concatenate([np.arange(len(y)), np.arange(len(y)), np.flatnonzero(y == predicted)])
    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=(3 * classes, len(y)))

    def figures(weights: Array) -> dict[str, Array]:
        true, found, hits = (counts @ weights).reshape(3, classes, -1)
        recall = (hits / np.maximum(true, 1)).sum(0) / (true > 0).sum(0)
        f1 = 2 * hits / np.maximum(true + found, 1)
        return {"balanced_accuracy": recall, "macro_f1": f1.sum(0) / (true + found > 0).sum(0)}

    return figures


def by_rank(y: NDArray[np.integer], curves: dict[int, Array]) -> Figures:
    """AUROC and average precision as scikit-learn has them, the mean over classes; `curves` has the scores (N,) of
    some. In a resample, classes without positives or without negatives are passed over."""
    one = [_ranked(y == label, score) for label, score in curves.items()]

    def figures(weights: Array) -> dict[str, Array]:
        both = np.stack([curve(weights) for curve in one])  # (classes, 2, B)
        defined = (~np.isnan(both)).sum(0)
        mean = np.nansum(both, 0) / np.where(defined, defined, np.nan)
        return {"auroc": mean[0], "average_precision": mean[1]}

    return figures


def _ranked(positive: NDArray[np.bool_], score: Array) -> Callable[[Array], Array]:
    """Weights (N, B) -> AUROC and average precision (2, B) of one class; examples that are tied share a threshold."""
    from scipy.sparse import csr_array

    order = np.argsort(-score, kind="stable")
    falling, mine = -score[order], np.flatnonzero(positive[order])  # the positives, from the highest score down
    first, last = (np.searchsorted(falling, falling[mine], side=side) for side in ("left", "right"))  # of their ties
    edges = np.unique(np.concatenate([[0], first, last, [len(order)]]))  # sums are wanted at these places alone
    stretches = csr_array((np.ones(len(order)), order, edges), shape=(len(edges) - 1, len(order)))
    first_all, last_all, first_mine, last_mine = (
        np.searchsorted(places, ends) for places in (edges, mine) for ends in (first, last)
    )

    def curve(weights: Array) -> Array:
        own = weights[order[mine]]
        above, hits = _summed(stretches @ weights), _summed(own)
        positives, negatives = hits[-1], above[-1] - hits[-1]
        with_ties, without_ties = above[last_all], above[first_all]
        precision = hits[last_mine] / np.maximum(with_ties, 1)
        wrong = (with_ties - hits[last_mine] + without_ties - hits[first_mine]) / 2  # negatives above, half of ties
        total = np.where((positives > 0) & (negatives > 0), positives, np.nan)
        auroc = 1 - (own * wrong).sum(0) / (total * np.maximum(negatives, 1))
        return np.stack([auroc, (own * precision).sum(0) / total])

    return curve


def _summed(weights: Array) -> Array:
    """Sums of the first 0, 1, … N rows, (N + 1, B)."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def by_error(y: Array, out: Array) -> Figures:
    """MSE, RMSE, MAE and R² of numbers (N, T), as `figures.regression` has them."""
    count, targets = y.shape
    error, y = out - y, y - y.mean(0)  # of y² little is left of the variance where the mean is far larger
    table = np.concatenate([error**2, np.abs(error), y, y**2], 1).T

    def figures(weights: Array) -> dict[str, Array]:
        squared, absolute, mean, square = (table @ weights / count).reshape(4, targets, -1)
        variance = square - mean**2
        r2 = 1 - squared / np.where(variance > 1e-12 * square, variance, np.nan)  # nan: one number drawn over and over
        mse = squared.mean(0)
        return {"mse": mse, "rmse": np.sqrt(mse), "mae": absolute.mean(0), "r2": r2.mean(0)}

    return figures
