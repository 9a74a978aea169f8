"""Metrics against scikit-learn and hand values, exact over ragged batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dlkit.metrics import (
    METRICS,
    absolute_error,
    correct,
    higher_is_better,
    metrics_for,
    predicted_class,
    squared_error,
    zero_one,
)
from dlkit.types import Spec


def over_batches(name: str, out: Tensor, y: Tensor, size: int) -> float:
    """The regression metric from sums over batches of `size`, the last one short."""
    metric = METRICS["regression"][name]
    sums = [
        metric.per_example(o, t).sum(0, dtype=torch.float64)
        for o, t in zip(out.split(size), y.split(size), strict=True)
    ]
    return metric.finish(torch.stack(sums).sum(0) / len(y)).item()


def targets(count: int = 101, shift: float = 3.0) -> tuple[Tensor, Tensor]:
    y = shift + torch.randn(count, 2) * torch.tensor([1.0, 5.0])
    return y + 0.7 * torch.randn(count, 2), y


@pytest.mark.parametrize("size", [7, 50, 101])
def test_r2_over_ragged_batches_is_that_of_scikit_learn(size: int) -> None:
    from sklearn.metrics import r2_score

    out, y = targets()
    assert over_batches("r2", out, y, size) == pytest.approx(r2_score(y.numpy(), out.numpy()), abs=1e-5)


@pytest.mark.parametrize("size", [7, 101])
def test_rmse_and_mae_over_ragged_batches_are_those_of_scikit_learn(size: int) -> None:
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    out, y = targets()
    assert over_batches("rmse", out, y, size) == pytest.approx(
        mean_squared_error(y.numpy(), out.numpy()) ** 0.5, rel=1e-5
    )
    assert over_batches("mae", out, y, size) == pytest.approx(mean_absolute_error(y.numpy(), out.numpy()), rel=1e-5)


def test_r2_stays_exact_where_the_mean_is_far_larger_than_the_deviation() -> None:
    from sklearn.metrics import r2_score

    out, y = targets(count=1000, shift=1e4)
    assert over_batches("r2", out, y, 64) == pytest.approx(r2_score(y.double().numpy(), out.double().numpy()), abs=1e-3)


def test_r2_of_the_mean_is_zero_and_of_the_truth_one() -> None:
    y = torch.randn(40, 1)
    assert over_batches("r2", y.mean().expand(40, 1), y, 40) == pytest.approx(0, abs=1e-6)
    assert over_batches("r2", y, y, 40) == 1


def test_accuracy_counts_the_largest_output() -> None:
    out = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 3.0, 1.0]])
    assert correct(out, torch.tensor([0, 1, 1])).tolist() == [1, 0, 1]


def test_accuracy_of_distributions_is_that_of_their_likeliest_class() -> None:
    out, y = torch.randn(20, 4), torch.randint(4, (20,))
    soft = 0.9 * torch.eye(4)[y] + 0.025
    assert torch.equal(correct(out, soft), correct(out, y))


def test_a_single_logit_stands_for_class_one_where_it_is_positive() -> None:
    assert predicted_class(torch.tensor([[-0.1], [0.2]])).tolist() == [0, 1]


@pytest.mark.parametrize("outputs", [1, 4])
def test_the_0_1_loss_is_one_less_the_accuracy_where_nothing_ties(outputs: int) -> None:
    out, y = torch.randn(50, outputs), torch.randint(max(outputs, 2), (50,))
    assert torch.equal(zero_one(out, y), 1 - correct(out, y))


@pytest.mark.parametrize("out", [[0.0], [0.0, 0.0, -1.0], [float("nan")], [float("nan")] * 3])
def test_the_0_1_loss_of_a_margin_of_zero_or_nan_is_one_for_either_class(out: list[float]) -> None:
    assert zero_one(torch.tensor([out, out]), torch.tensor([0, 1])).tolist() == [1, 1]


def test_the_0_1_loss_is_reported_beside_losses_of_margins_only(tabular: Spec) -> None:
    assert list(metrics_for(tabular)) == ["accuracy"]
    assert list(metrics_for(tabular, margins=True)) == ["accuracy", "zero_one"]
    assert higher_is_better("val/zero_one") is False


def test_errors_of_an_example_are_means_over_its_targets() -> None:
    out, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 5.0]])
    assert absolute_error(out, y).tolist() == [2.0]
    assert squared_error(out, y).tolist() == [5.0]


def test_errors_of_standardised_targets_are_in_their_own_unit_and_r2_is_the_same() -> None:
    spec = Spec("tabular", (4,), 2, "regression", target_mean=(3.0, -1.0), target_std=(10.0, 0.5))
    out, y = targets()
    mean, unit = torch.tensor(spec.target_mean), torch.tensor(spec.target_std)
    for name, metric in metrics_for(spec).items():
        ours = metric.finish(metric.per_example((out - mean) / unit, (y - mean) / unit).double().mean(0))
        assert ours.item() == pytest.approx(over_batches(name, out, y, 101), rel=1e-5)


def test_the_headline_metric_stands_first(tabular: Spec, regression: Spec) -> None:
    assert next(iter(metrics_for(tabular))) == "accuracy"
    assert next(iter(metrics_for(regression))) == "r2"


@pytest.mark.parametrize(
    ("name", "higher"),
    [("val/accuracy", True), ("test/r2", True), ("val/loss", False), ("val/rmse", False), ("x", False)],
)
def test_more_is_better_of_accuracy_and_r2_only(name: str, higher: bool) -> None:
    assert higher_is_better(name) is higher
