"""Figures against scikit-learn and hand values; intervals against a slow bootstrap and the truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

from dlkit.answers import predicted_classes
from dlkit.calibration import calibration_error, reliability_bins
from dlkit.evaluation import intervals
from dlkit.evaluation.figures import RANKED_AT_ONCE, classification, regression


def names(count: int) -> tuple[str, ...]:
    return tuple(f"c{i}" for i in range(count))


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def answers(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, scores rounded so that some are tied, and their probabilities."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=count)
    scores = rng.normal(size=(count, classes))
    scores[np.arange(count), y] += 1
    scores = scores.round(1)
    return y, scores, softmax(scores)


def test_figures_of_many_classes_are_those_of_scikit_learn() -> None:
    y, scores, p = answers(500, 8)
    y[y == 3] = 0  # a class that does not occur, but is predicted
    guess, labels, occur = scores.argmax(1), range(8), [0, 1, 2, 4, 5, 6, 7]
    result = classification(y, scores, p, names(8))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = sk.balanced_accuracy_score(y, guess)
    expected = {
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": balanced,
        "log_loss": sk.log_loss(y, p, labels=labels),
        "brier": ((p - np.eye(8)[y]) ** 2).sum(1).mean(),
        "auroc": np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in occur]),
        "average_precision": np.mean([sk.average_precision_score(y == c, p[:, c]) for c in occur]),
    }
    for average in ("macro", "weighted"):
        table = sk.precision_recall_fscore_support(y, guess, average=average, zero_division=0)
        expected |= {f"{average}_{key}": x for key, x in zip(("precision", "recall", "f1"), table[:3], strict=True)}
    assert {key: result[key] for key in expected} == pytest.approx(expected, rel=1e-12)
    assert result["confusion"] == sk.confusion_matrix(y, guess, labels=labels).tolist()
    report = sk.classification_report(y, guess, labels=labels, target_names=names(8), output_dict=True, zero_division=0)
    for row in result["classes"]:
        ours = [row["precision"], row["recall"], row["f1"], row["support"]]
        assert ours == pytest.approx(list(report[row["class"]].values()))
    assert result["classes"][3]["support"] == 0 and result["left_out"] == {}
    json.dumps(result, allow_nan=False)


def test_all_classes_present_auroc_is_scikit_learns_one_versus_rest_and_brier_its_own() -> None:
    y, scores, p = answers(300, 4)
    result = classification(y, scores, p, names(4))
    assert result["auroc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert result["average_precision"] == pytest.approx(sk.average_precision_score(y, p))
    assert "top5_accuracy" not in result


@pytest.mark.parametrize("logits", [1, 2])
def test_figures_of_two_classes_are_those_of_the_second_in_scikit_learn(logits: int) -> None:
    y, scores, p = answers(200, 2)
    if logits == 1:
        scores = scores[:, 1:] - scores[:, :1]
    result = classification(y, scores, p, ("no", "yes"))
    guess = predicted_classes(scores)
    assert result["brier"] == pytest.approx(sk.brier_score_loss(y, p[:, 1]))
    assert result["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert result["auroc"] == pytest.approx(sk.roc_auc_score(y, p[:, 1]))
    assert result["average_precision"] == pytest.approx(sk.average_precision_score(y, p[:, 1]))
    assert result["classes"][1]["f1"] == pytest.approx(sk.f1_score(y, guess))


def test_margins_give_all_but_what_needs_probabilities() -> None:
    y, scores, _ = answers(200, 2)
    for margins in (scores, scores[:, 1:] - scores[:, :1]):
        result = classification(y, margins, None, ("no", "yes"))
        assert result["auroc"] == pytest.approx(sk.roc_auc_score(y, scores[:, 1] - scores[:, 0]))
        assert set(result["left_out"]) == {"log_loss", "brier", "ece"}
        assert not {"log_loss", "brier", "ece"} & (set(result) | set(result["intervals"]))


def test_a_sure_error_costs_a_finite_log_loss_as_in_scikit_learn() -> None:
    y, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert classification(y, p, p, ("a", "b"))["log_loss"] == pytest.approx(sk.log_loss(y, p))


def test_top_5_accuracy_is_that_of_scikit_learn_and_without_ties_in_favour_of_the_truth() -> None:
    rng = np.random.default_rng(0)
    y, scores = rng.integers(9, size=400), rng.normal(size=(400, 9))
    result = classification(y, scores, softmax(scores), names(9))
    assert result["top5_accuracy"] == pytest.approx(sk.top_k_accuracy_score(y, scores, k=5, labels=range(9)))
    same = np.zeros((9, 9))
    assert classification(np.arange(9), same, None, names(9))["top5_accuracy"] == pytest.approx(5 / 9)


def test_calibration_error_by_hand() -> None:
    confidence, correct = np.array([0.95, 0.95, 0.62, 0.6, 1.0]), np.array([True, False, True, False, True])
    bins = reliability_bins(confidence, correct)
    assert bins[0].tolist() == [0] * 8 + [1, 1] + [0] * 4 + [3]  # 0.6 is the upper edge of the ninth bin
    hand = (0.6 + (1 - 0.62) + abs(2 - 2.9)) / 5
    assert calibration_error(*bins) == pytest.approx(hand)
    p = np.stack([confidence, 1 - confidence], 1)
    assert classification((~correct).astype(int), p, p, ("a", "b"))["ece"] == pytest.approx(hand)


def test_one_class_only_leaves_ranks_undefined_and_says_so() -> None:
    _, scores, p = answers(20, 3)
    result = classification(np.zeros(20, int), scores, p, names(3))
    assert result["auroc"] is result["average_precision"] is None
    assert "one class" in result["left_out"]["auroc"]
    assert result["balanced_accuracy"] == result["accuracy"]


def test_one_example_has_figures_but_no_intervals() -> None:
    result = classification(np.array([1]), np.array([[0.1, 0.9]]), np.array([[0.1, 0.9]]), ("a", "b"))
    assert result["accuracy"] == 1 and result["intervals"] == {} and "intervals" in result["left_out"]
    numbers = regression(np.array([[1.0]]), np.array([[3.0]]))
    assert (numbers["mse"], numbers["mae"], numbers["r2"]) == (4, 2, None) and numbers["intervals"] == {}
    json.dumps([result, numbers], allow_nan=False)


def test_without_an_error_there_is_no_interval_of_the_accuracy() -> None:
    y = np.array([0, 1, 1, 0, 1, 0])
    p = np.stack([1 - y, y], 1) * 0.6 + 0.2
    p[0] = [0.9, 0.1]
    result = classification(y, p, p, ("a", "b"))
    assert result["accuracy"] == 1 and set(result["intervals"]) == {"log_loss", "brier"}
    same = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision")
    assert result["left_out"] == {f"interval of {name}": "all resamples give the same" for name in same}


def test_a_class_that_neither_occurs_nor_is_predicted_lowers_no_average() -> None:
    y = np.array([0, 1, 2, 0, 1, 2])
    result = classification(y, 5.0 * np.eye(4)[y], None, names(4))
    assert [result[f"macro_{key}"] for key in ("precision", "recall", "f1")] == [1, 1, 1]


def test_outputs_that_are_no_numbers_are_refused() -> None:
    scores = np.array([[0.0, np.nan], [0.0, 1.0]])
    with pytest.raises(ValueError, match="NaN or infinite for 1 of 2 examples"):
        classification(np.array([0, 1]), scores, None, ("a", "b"))
    with pytest.raises(ValueError, match="NaN or infinite for 2 of 2 examples"):
        regression(np.zeros((2, 1)), np.full((2, 1), np.inf))


def test_regression_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = 1000 + rng.normal(size=(50, 3)) * [1, 10, 100]
    out = y + rng.normal(size=y.shape)
    result = regression(y, out)
    assert result["mse"] == pytest.approx(sk.mean_squared_error(y, out))
    assert result["rmse"] == pytest.approx(sk.mean_squared_error(y, out) ** 0.5)
    assert result["mae"] == pytest.approx(sk.mean_absolute_error(y, out))
    assert result["r2"] == pytest.approx(sk.r2_score(y, out))
    for t, target in enumerate(result["targets"]):
        assert target["r2"] == pytest.approx(sk.r2_score(y[:, t], out[:, t]))
        assert target["rmse"] == pytest.approx(sk.mean_squared_error(y[:, t], out[:, t]) ** 0.5)


def test_r2_of_a_target_that_does_not_vary_is_left_out() -> None:
    y = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    result = regression(y, y + 1)
    assert [target["r2"] for target in result["targets"]] == [None, pytest.approx(-0.5)]
    assert result["r2"] is None and "r2" in result["left_out"] and "r2" not in result["intervals"]


def test_figures_of_weights_are_those_of_examples_repeated() -> None:
    y, scores, p = answers(60, 4)
    guess = scores.argmax(1)
    weights = intervals.resampled(np.random.default_rng(1), 60, 20)
    weights[(y == 2) | (guess == 2), 0] = 0  # a resample without one of the classes
    curves = {c: p[:, c] for c in range(4)}
    figures = intervals.together(intervals.by_class(y, guess, 5), intervals.by_rank(y, curves))(weights.astype(float))
    for b in range(20):
        rows = np.repeat(np.arange(60), weights[:, b])
        t, occur = y[rows], sorted(set(y[rows]))
        recall = sk.recall_score(t, guess[rows], labels=occur, average="macro")
        f1 = sk.f1_score(t, guess[rows], average="macro", zero_division=0)
        auroc = np.mean([sk.roc_auc_score(t == c, p[rows, c]) for c in occur])
        average_precision = np.mean([sk.average_precision_score(t == c, p[rows, c]) for c in occur])
        ours = [figures[name][b] for name in ("balanced_accuracy", "macro_f1", "auroc", "average_precision")]
        assert ours == pytest.approx([recall, f1, auroc, average_precision])


def test_intervals_are_those_of_a_slow_bootstrap() -> None:
    rng = np.random.default_rng(0)
    y, scores, p = answers(150, 3)
    numbers = rng.normal(size=(150, 2))
    out = numbers + 0.5 * rng.normal(size=numbers.shape)
    ours = classification(y, scores, p, names(3))["intervals"] | regression(numbers, out)["intervals"]
    own = p[np.arange(150), y]
    slow: dict[str, list[float]] = {name: [] for name in ("accuracy", "log_loss", "mse", "rmse", "mae", "r2")}
    for _ in range(2000):
        rows = rng.integers(150, size=150)
        slow["accuracy"].append(float((scores[rows].argmax(1) == y[rows]).mean()))
        slow["log_loss"].append(float(-np.log(own[rows]).mean()))
        error, true = out[rows] - numbers[rows], numbers[rows]
        slow["mse"].append(float((error**2).mean()))
        slow["rmse"].append(float((error**2).mean() ** 0.5))
        slow["mae"].append(float(np.abs(error).mean()))
        slow["r2"].append(float((1 - (error**2).mean(0) / true.var(0)).mean()))
    for name, values in slow.items():
        assert ours[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.3 * np.std(values)), name


def test_intervals_hold_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for i in range(150):
        hits, errors = rng.random(100) < 0.8, rng.normal(size=100) ** 2
        found = intervals.bootstrap(intervals.means({"hits": hits.astype(float), "errors": errors}), 100, seed=i)
        held += [found["hits"][0] <= 0.8 <= found["hits"][1], found["errors"][0] <= 1 <= found["errors"][1]]
    assert (held / 150 > 0.88).all() and (held / 150 < 0.99).all()


def test_intervals_are_the_same_each_time_and_hold_the_figure() -> None:
    y, scores, p = answers(120, 7)
    one, two = (classification(y, scores, p, names(7)) for _ in range(2))
    assert one == two
    assert set(one["intervals"]) == {
        "accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier", "auroc", "average_precision",
    }  # fmt: skip
    assert all(low < one[name] < high for name, (low, high) in one["intervals"].items())


def test_resamples_in_parts_are_whole_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "AT_ONCE", 700)
    seen: list[tuple[int, ...]] = []

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(weights.shape)
        assert (weights.sum(0) == 100).all()
        return {"first": weights[0]}

    assert intervals.bootstrap(figures, 100)["first"] == pytest.approx([0, 3], abs=0.1)  # Poisson(1), nearly
    assert seen == [(100, 7)] * 142 + [(100, 6)]


def test_intervals_of_ranks_are_left_out_where_they_would_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlkit.evaluation.figures.RANKED_AT_ONCE", 100)
    result: dict[str, Any] = classification(*answers(60, 3), names(3))
    assert result["auroc"] is not None and "auroc" not in result["intervals"]
    assert result["left_out"]["interval of auroc"] == "60 examples × 3 curves are more than 100"
    assert RANKED_AT_ONCE >= 100_000
