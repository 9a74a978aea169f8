"""Figures of a trained model's answers: as scikit-learn has them, with 95 % bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlkit.answers import Array, Classes, predicted_classes
from dlkit.calibration import calibration_error, reliability_bins
from dlkit.evaluation import intervals

RANKED_AT_ONCE = 100_000  # examples × curves: above, the intervals of ranks would take seconds


def classification(
    y: Classes, scores: Array, probabilities: Array | None, classes: tuple[str, ...], *, seed: int = 0
) -> dict[str, Any]:
    """Figures of answers to N examples of the classes `y` (N,); all numbers are plain Python's.

    `scores` (N, K), or (N, 1) for two classes, decide; `probabilities` (N, K), best in float64, are None where the loss
    has no link. What is not defined is None, or absent, and "left_out" says why; "intervals" holds those of single
    figures, [low, high].

    Of each class: precision, recall and F1, 0 where undefined; their macro averages are over the classes that occur or
    are predicted, balanced accuracy is over those that occur. AUROC and average precision are those of
    the second of two classes, else the mean over classes, one against the rest, that have examples on both sides;
    examples are ranked by probability, or score where there is none. The Brier score is `mean Σ_k (p_k − [y = k])²`,
    0 to 2, and half of it for two classes: `mean (p_2 − [y = 2])²`, 0 to 1, as usual. The calibration error has no
    interval: resampling itself raises it. Rows of the confusion matrix are true classes.

    Raises ValueError where an output is NaN or infinite.
    """
    _refuse_infinite(scores)
    count, predicted = len(y), predicted_classes(scores)
    values = {"accuracy": (predicted == y).astype(np.float64)}  # per example: figures that are means
    if len(classes) > 5:
        values["top5_accuracy"] = _in_top(y, scores, 5)
    left_out: dict[str, str] = {}
    if probabilities is None:
        left_out |= dict.fromkeys(("log_loss", "brier", "ece"), "the loss gives no probabilities")
    else:
        probabilities = probabilities.astype(np.float64)
        values |= _scored(y, probabilities)
    curves = _curves(y, scores, probabilities, len(classes))
    resampled = [intervals.means(values), intervals.by_class(y, predicted, len(classes))]
    if not curves:
        left_out |= dict.fromkeys(("auroc", "average_precision"), "all examples are of one class")
    elif count * len(curves) <= RANKED_AT_ONCE:
        resampled.append(intervals.by_rank(y, curves))
    else:
        why = f"{count:,} examples × {len(curves)} curves are more than {RANKED_AT_ONCE:,}"
        left_out |= dict.fromkeys(("interval of auroc", "interval of average_precision"), why)
    result: dict[str, Any] = {"n": count} | {name: float(value.mean()) for name, value in values.items()}
    if probabilities is not None:
        result["ece"] = calibration_error(*reliability_bins(probabilities.max(1), predicted == y))
    result |= _rank_figures(y, curves) | _class_figures(y, predicted, classes)
    return _finished(result, intervals.bootstrap(intervals.together(*resampled), count, seed=seed), left_out)


def regression(y: Array, out: Array, *, seed: int = 0) -> dict[str, Any]:
    """Figures of answers `out` to numbers `y`, both (N, T), in the unit in which they come.

    Each target has its own under "targets". MSE, MAE and R² are means over targets, RMSE is the root of that MSE, as in
    training. R² is None where a target does not vary, and "left_out" says so. Raises ValueError where an output is NaN
    or infinite.
    """
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    _refuse_infinite(out)
    y, out = y.astype(np.float64), out.astype(np.float64)
    mse, mae = (figure(y, out, multioutput="raw_values") for figure in (mean_squared_error, mean_absolute_error))
    varies = np.ptp(y, 0) > 0
    r2 = r2_score(y, out, multioutput="raw_values") if len(y) > 1 else [0.0]
    targets = [
        {"mse": float(m), "rmse": float(m**0.5), "mae": float(a), "r2": float(r) if v else None}
        for m, a, r, v in zip(mse, mae, np.broadcast_to(r2, len(mse)), varies, strict=True)
    ]
    result: dict[str, Any] = {"n": len(y), "mse": float(mse.mean()), "rmse": float(mse.mean() ** 0.5)}
    result |= {"mae": float(mae.mean()), "r2": float(np.mean(r2)) if varies.all() else None, "targets": targets}
    left_out = {} if varies.all() else {"r2": "the true numbers are all the same"}
    found = intervals.bootstrap(intervals.by_error(y, out), len(y), seed=seed)
    return _finished(result, found, left_out)


def _class_figures(y: Classes, predicted: Classes, classes: tuple[str, ...]) -> dict[str, Any]:
    """Precision, recall and F1, by class and averaged, and the confusion matrix."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels, names = np.arange(len(classes)), ("precision", "recall", "f1")
    *table, support = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    result: dict[str, Any] = {"balanced_accuracy": float(table[1][support > 0].mean())}
    met = np.isin(labels, [y, predicted])
    for average, weights in (("macro", met), ("weighted", support)):
        for name, column in zip(names, table, strict=True):
            result[f"{average}_{name}"] = float(np.average(column, weights=weights))
    result["classes"] = [
        {"class": label} | dict(zip(names, row, strict=True)) | {"support": examples}
        for label, row, examples in zip(classes, np.transpose(table).tolist(), support.tolist(), strict=True)
    ]
    result["confusion"] = confusion_matrix(y, predicted, labels=labels).tolist()
    return result


def _scored(y: Classes, probabilities: Array) -> dict[str, Array]:
    """Log loss (nats; probabilities within one rounding of 0 and 1, as in scikit-learn) and Brier score per example."""
    eps = np.finfo(np.float64).eps
    own = probabilities[np.arange(len(y)), y]
    brier = (probabilities**2).sum(1) - own**2 + (1 - own) ** 2
    if probabilities.shape[1] == 2:
        brier = brier / 2
    return {"log_loss": -np.log(np.clip(own, eps, 1 - eps)), "brier": brier}


def _in_top(y: Classes, scores: Array, k: int) -> Array:
    """1 where fewer than k classes come before the true one, (N,); of equal scores the first class does, as in
    argmax."""
    own = scores[np.arange(len(y)), y][:, None]
    before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < y[:, None]))
    return (before.sum(1) < k).astype(np.float64)


def _curves(y: Classes, scores: Array, probabilities: Array | None, classes: int) -> dict[int, Array]:
    """What examples are ranked by (N,), for each class that some have and some have not; of two for the second."""
    counts = np.bincount(y, minlength=classes)
    ranking = scores if probabilities is None else probabilities
    if classes > 2:
        return {label: ranking[:, label] for label in np.flatnonzero((counts > 0) & (counts < len(y))).tolist()}
    second = ranking[:, -1] if probabilities is not None or scores.shape[1] == 1 else scores[:, 1] - scores[:, 0]
    return {1: second} if np.count_nonzero(counts) > 1 else {}


def _rank_figures(y: Classes, curves: dict[int, Array]) -> dict[str, float | None]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        name: float(np.mean([figure(y == label, score) for label, score in curves.items()])) if curves else None
        for name, figure in (("auroc", roc_auc_score), ("average_precision", average_precision_score))
    }


def _finished(result: dict[str, Any], found: intervals.Intervals, left_out: dict[str, str]) -> dict[str, Any]:
    """With the intervals that say something: where no example is wrong, no resample has a wrong one."""
    empty = [name for name, (low, high) in found.items() if low == high]
    if result["n"] < 2:
        left_out["intervals"] = "they need two examples or more"
    elif empty:
        left_out |= {f"interval of {name}": "all resamples give the same" for name in empty}
    found = {name: bounds for name, bounds in found.items() if name not in empty}
    return result | {"intervals": found, "left_out": left_out}


def _refuse_infinite(out: Array) -> None:
    if bad := int((~np.isfinite(out)).any(1).sum()):
        raise ValueError(f"the model's outputs are NaN or infinite for {bad} of {len(out)} examples")
