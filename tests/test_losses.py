"""Losses against hand values, identities and scikit-learn."""

from __future__ import annotations

from math import log

import pytest
import torch

from dlkit.losses import CrossEntropy, Mse, auto
from dlkit.types import Spec

LN3 = torch.tensor([[0.0, log(3.0)]])  # softmax (1/4, 3/4)


def spec(classes: int) -> Spec:
    return Spec("tabular", (4,), classes, "classification")


@pytest.mark.parametrize(("y", "expected"), [(0, log(4)), (1, log(4 / 3))])
def test_cross_entropy_is_minus_the_logarithm_of_the_true_class_probability(y: int, expected: float) -> None:
    assert CrossEntropy(spec(2))(LN3, torch.tensor([y])).item() == pytest.approx(expected)


def test_label_smoothing_moves_its_mass_to_all_classes_alike() -> None:
    smooth = CrossEntropy(spec(2), label_smoothing=0.2)  # target (0.9, 0.1)
    assert smooth(LN3, torch.tensor([0])).item() == pytest.approx(0.9 * log(4) + 0.1 * log(4 / 3))


def test_smoothing_classes_equals_smoothed_distributions() -> None:
    out, y = torch.randn(6, 5), torch.randint(5, (6,))
    target = 0.7 * torch.eye(5)[y] + 0.3 / 5
    torch.testing.assert_close(CrossEntropy(spec(5), label_smoothing=0.3)(out, y), CrossEntropy(spec(5))(out, target))


def test_cross_entropy_of_a_distribution_with_itself_is_its_entropy() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]])
    assert CrossEntropy(spec(3))(p.log(), p).item() == pytest.approx(1.5 * log(2))


def test_cross_entropy_equals_log_loss_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    out, y = torch.randn(50, 3, dtype=torch.float64), torch.arange(50) % 3
    loss = CrossEntropy(spec(3))
    assert loss(out, y).mean().item() == pytest.approx(log_loss(y.numpy(), loss.probabilities(out).numpy()))


def test_cross_entropy_does_not_overflow() -> None:
    out = torch.tensor([[1000.0, -1000.0]])
    assert CrossEntropy(spec(2))(out.expand(2, 2), torch.tensor([0, 1])).tolist() == [0.0, 2000.0]


def test_probabilities_are_positive_and_sum_to_one() -> None:
    p = CrossEntropy(spec(4)).probabilities(20 * torch.randn(30, 4))
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(1), torch.ones(30))


def test_cross_entropy_refuses_numbers_as_targets_and_names_mse(regression: Spec) -> None:
    with pytest.raises(ValueError, match="loss=mse"):
        CrossEntropy(regression)


def test_mse_is_the_mean_over_the_outputs(regression: Spec) -> None:
    out, y = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 3.0]])
    assert Mse(regression)(out, y).tolist() == [2.5, 4.5]


def test_mse_takes_classes_as_one_hot_vectors() -> None:
    out = torch.tensor([[1.0, 0.0, 2.0]])
    assert Mse(spec(3))(out, torch.tensor([1])).item() == pytest.approx((1 + 1 + 4) / 3)


def test_mse_refuses_targets_that_would_broadcast(regression: Spec) -> None:
    with pytest.raises(AssertionError, match="would broadcast"):
        Mse(regression)(torch.zeros(5, 1), torch.zeros(5))


def test_mse_has_no_probabilities_and_says_so(regression: Spec) -> None:
    with pytest.raises(ValueError, match="loss=mse gives no probabilities"):
        Mse(regression).probabilities(torch.zeros(2, 2))


@pytest.mark.parametrize("make", [CrossEntropy, Mse])
def test_the_loss_of_an_example_does_not_depend_on_its_batch(make: type) -> None:
    loss, out, y = make(spec(3)), torch.randn(7, 3), torch.randint(3, (7,))
    parts = [loss(out[i : i + 3], y[i : i + 3]) for i in range(0, 7, 3)]
    torch.testing.assert_close(torch.cat(parts), loss(out, y))


def test_auto_takes_the_usual_loss_of_the_task(tabular: Spec, regression: Spec) -> None:
    assert isinstance(auto(tabular), CrossEntropy)
    assert isinstance(auto(regression), Mse)
    assert (auto(tabular).outputs, auto(regression).outputs) == (3, 2)
