"""Activations: values, derivatives against the lectures' formulas, maxout's pairs, the step that stops learning."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, exp, pi, sqrt, tanh
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from dlkit.cli.preflight import check
from dlkit.models.activations import ACTIVATIONS, Activation, make_activation, width_before
from dlkit.models.cnn import cnn
from dlkit.models.mlp import mlp
from dlkit.settings import config_folder
from dlkit.types import Spec

PLACES = [-3.0, -0.7, -0.1, 0.4, 1.0, 2.5]


def sigma(x: float) -> float:
    return 1 / (1 + exp(-x))


def normal_cdf(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


# name: (the function, its derivative), as the lectures write them
FORMULAS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "identity": (lambda x: x, lambda x: 1),
    "step": (lambda x: float(x >= 0), lambda x: 0),
    "sigmoid": (sigma, lambda x: sigma(x) * (1 - sigma(x))),
    "tanh": (tanh, lambda x: 1 - tanh(x) ** 2),
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "leaky_relu": (lambda x: max(x, 0.01 * x), lambda x: 1 if x > 0 else 0.01),
    "leaky_relu_0.1": (lambda x: max(x, 0.1 * x), lambda x: 1 if x > 0 else 0.1),
    "prelu": (lambda x: max(x, 0.25 * x), lambda x: 1 if x > 0 else 0.25),
    "elu": (lambda x: x if x > 0 else exp(x) - 1, lambda x: 1 if x > 0 else exp(x)),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "softplus": (lambda x: torch.tensor(exp(x), dtype=torch.float64).log1p().item(), sigma),
    "gelu": (
        lambda x: x * normal_cdf(x),
        lambda x: normal_cdf(x) + x * exp(-x * x / 2) / sqrt(2 * pi),
    ),
    "silu": (lambda x: x * sigma(x), lambda x: sigma(x) * (1 + x * (1 - sigma(x)))),
}


def made(name: str) -> nn.Module:
    if name == "step":
        with pytest.warns(UserWarning, match="step has gradient 0: the layers before it keep their initial weights"):
            return make_activation(name).double()
    return make_activation(name).double()


def test_every_name_of_the_option_is_an_activation_and_each_has_its_formula_here() -> None:
    assert list(get_args(Activation)) == list(ACTIVATIONS)
    assert set(ACTIVATIONS) == {*FORMULAS, "maxout", "softmax"}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives_are_those_of_the_lectures(name: str) -> None:
    function, derivative = FORMULAS[name]
    x = torch.tensor([PLACES], dtype=torch.float64, requires_grad=True)
    y = made(name)(x)
    torch.testing.assert_close(y, torch.tensor([[float(function(place)) for place in PLACES]], dtype=torch.float64))
    y.sum().backward()
    torch.testing.assert_close(
        x.grad, torch.tensor([[float(derivative(place)) for place in PLACES]], dtype=torch.float64)
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_equal_finite_differences(name: str) -> None:
    x = torch.tensor([PLACES, PLACES[::-1]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made(name), (x,))


def test_the_step_is_one_at_zero_and_finite_at_infinity() -> None:
    x = torch.tensor([[-float("inf"), -1e-30, 0.0, 1e-30, float("inf")]], dtype=torch.float64)
    assert made("step")(x).tolist() == [[0, 0, 1, 1, 1]]


def test_softmax_is_a_distribution_with_the_jacobian_of_one_and_does_not_overflow() -> None:
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    s = x.exp() / x.exp().sum()
    softmax = make_activation("softmax")
    torch.testing.assert_close(softmax(x[None])[0], s)
    jacobian = torch.autograd.functional.jacobian(lambda z: softmax(z[None])[0], x)
    torch.testing.assert_close(jacobian, s.diag() - s.outer(s))
    assert softmax(torch.tensor([[1e4, 0.0]])).tolist() == [[1, 0]]


def test_the_slope_of_prelu_is_learnt_by_what_comes_in_below_zero() -> None:
    prelu, x = make_activation("prelu"), torch.tensor([[-2.0, 3.0, -0.5]])
    prelu(x).sum().backward()
    (slope,) = prelu.parameters()
    assert slope.grad is not None and slope.grad.item() == pytest.approx(-2.5)


def test_maxout_is_the_larger_of_two_linear_functions_and_only_that_one_learns(tabular: Spec) -> None:
    model = mlp(tabular, 2, hidden=(6,), activation="maxout")
    assert isinstance(model, nn.Sequential)
    w, b = model[1].weight, model[1].bias  # type: ignore[union-attr]
    assert w.shape == (12, 4)
    x = torch.randn(5, 4)
    first, second = x @ w[:6].T + b[:6], x @ w[6:].T + b[6:]  # type: ignore[index]
    hidden = model[:3](x)
    torch.testing.assert_close(hidden, torch.maximum(first, second))
    (gradient,) = torch.autograd.grad(hidden.sum(), [b])  # type: ignore[list-item]
    torch.testing.assert_close(gradient[:6], (first > second).float().sum(0))
    torch.testing.assert_close(gradient[6:], (first < second).float().sum(0))


def test_maxout_takes_pairs_of_channels_at_every_pixel(image: Spec) -> None:
    model = cnn(image, 2, channels=(3,), hidden=(), activation="maxout", batch_norm=True).eval()
    assert isinstance(model, nn.Sequential)
    wide = model[:2](torch.randn(4, 1, 8, 8))
    assert wide.shape == (4, 6, 8, 8)
    torch.testing.assert_close(model[2](wide), torch.maximum(wide[:, :3], wide[:, 3:]))


def test_only_maxout_doubles_the_layer_before_it() -> None:
    assert {name: width_before(name, 5) for name in ACTIVATIONS if width_before(name, 5) != 5} == {"maxout": 10}


def test_below_a_step_gradients_are_exactly_zero_and_above_it_they_are_not(tabular: Spec) -> None:
    with pytest.warns(UserWarning, match="step has gradient 0"):
        model = mlp(tabular, 3, hidden=(6,), activation="step")
    out = model(torch.randn(5, 4))
    nn.functional.cross_entropy(out, torch.tensor([0, 1, 2, 0, 1])).backward()
    below_w, below_b, above_w, above_b = [p.grad for p in model.parameters()]
    for gradient in (below_w, below_b):
        assert gradient is not None and (gradient == 0).all()
    for gradient in (above_w, above_b):
        assert gradient is not None and gradient.any()


@pytest.mark.parametrize("name", ["softmax", "prelu", "maxout", "gelu"])
def test_a_model_with_the_activation_learns_ten_examples(tabular: Spec, name: Activation) -> None:
    model = mlp(tabular, 3, hidden=(32,), activation=name)
    x, y = torch.randn(10, 4), torch.arange(10) % 3
    optim = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        loss: Tensor = nn.functional.cross_entropy(model(x), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
    assert loss.item() < 0.3


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_an_unknown_activation_is_refused_with_the_closest(model: str) -> None:
    assert check([f"model={model}", "model.activation=maxout"], config_folder()).mistakes == []
    (line,) = check([f"model={model}", "model.activation=softpluss"], config_folder()).mistakes
    assert line.startswith("model.activation=softpluss: must be one of identity, step, ")
    assert line.endswith("did you mean softplus?")
