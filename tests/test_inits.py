"""Initial weights: their moments over 1e5 samples, and what they do to a deep net."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import pytest
import torch
from torch import nn

from dlkit.inits import default, kaiming, xavier
from dlkit.types import Batch

BATCH = Batch(torch.zeros(1), torch.zeros(1))
Distribution = Literal["uniform", "normal"]
DISTRIBUTIONS: list[Distribution] = ["uniform", "normal"]


def layers() -> list[tuple[nn.Linear | nn.Conv2d, int, int]]:
    """Layers with more than 1e5 weights, their fan-in and fan-out."""
    return [(nn.Linear(300, 400), 300, 400), (nn.Conv2d(16, 64, 11), 16 * 121, 64 * 121)]


def assert_moments(weight: torch.Tensor, variance: float, distribution: Distribution) -> None:
    count = weight.numel()
    assert count >= 1e5
    assert abs(weight.mean().item()) < 5 * sqrt(variance / count)
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    beyond = weight.abs().max().item() / sqrt(3 * variance)  # a uniform distribution ends at √3 deviations
    assert 0.999 < beyond <= 1.000001 if distribution == "uniform" else beyond > 2


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_xavier_has_variance_two_over_both_fans(distribution: Distribution) -> None:
    for layer, fan_in, fan_out in layers():
        xavier(layer, BATCH, distribution=distribution)
        assert_moments(layer.weight, 2 / (fan_in + fan_out), distribution)


def test_gain_multiplies_the_deviation() -> None:
    layer, fan_in, fan_out = layers()[0]
    xavier(layer, BATCH, gain=3)
    assert_moments(layer.weight, 9 * 2 / (fan_in + fan_out), "uniform")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_kaiming_has_variance_two_over_the_fan_in(distribution: Distribution) -> None:
    for layer, fan_in, _ in layers():
        kaiming(layer, BATCH, distribution=distribution)
        assert_moments(layer.weight, 2 / fan_in, distribution)


def test_default_is_uniform_within_one_over_the_root_of_the_fan_in() -> None:
    for layer, fan_in, _ in layers():
        before = layer.weight.clone()
        default(layer, BATCH)
        assert torch.equal(layer.weight, before)
        assert_moments(layer.weight, 1 / (3 * fan_in), "uniform")


@pytest.mark.parametrize("init", [xavier, kaiming])
def test_biases_start_at_zero_and_norms_are_left_alone(init) -> None:  # type: ignore[no-untyped-def]
    norm = nn.BatchNorm2d(8)
    nn.init.constant_(norm.weight, 3.0)
    nn.init.constant_(norm.bias, 2.0)
    conv, linear = nn.Conv2d(1, 8, 3), nn.Linear(8, 2)
    init(nn.Sequential(conv, norm, nn.Conv2d(8, 8, 1, bias=False), nn.Flatten(), linear), BATCH)
    assert conv.bias is not None
    assert not conv.bias.any()
    assert not linear.bias.any()
    assert (norm.weight == 3).all()
    assert (norm.bias == 2).all()


def test_the_same_seed_gives_the_same_weights() -> None:
    def drawn(seed: int) -> torch.Tensor:
        layer = nn.Linear(20, 20)
        torch.manual_seed(seed)
        kaiming(layer, BATCH)
        return layer.weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def second_moment_after(depth: int, init, activation: type[nn.Module]) -> float:  # type: ignore[no-untyped-def]
    """Mean square of the last pre-activation of a deep square net, of that of its first."""
    stack = [nn.Sequential(nn.Linear(512, 512), activation()) for _ in range(depth)]
    for layer in stack:
        init(layer, BATCH)
    x = torch.randn(64, 512)
    first = stack[0][0](x).square().mean()
    for layer in stack[:-1]:
        x = layer(x)
    return (stack[-1][0](x).square().mean() / first).item()


def test_kaiming_keeps_the_second_moment_through_relu_layers_and_xavier_halves_it() -> None:
    assert 0.5 < second_moment_after(11, kaiming, nn.ReLU) < 2
    assert 0.5 < second_moment_after(11, xavier, nn.ReLU) * 2**10 < 2


def test_xavier_keeps_the_variance_through_linear_layers() -> None:
    assert 0.7 < second_moment_after(11, xavier, nn.Identity) < 1.4
