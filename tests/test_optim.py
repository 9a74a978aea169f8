"""Optimisers against torch's plain loops and against their formulas worked in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from dlkit import optim

Make = Callable[[Iterable[Tensor]], torch.optim.Optimizer]

PAIRS: dict[str, tuple[Make, Make]] = {
    "sgd": (lambda p: optim.sgd(p, lr=0.05), lambda p: torch.optim.SGD(p, lr=0.05, foreach=False)),
    "sgd with decay": (
        lambda p: optim.sgd(p, lr=0.05, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1, foreach=False),
    ),
    "momentum": (
        lambda p: optim.momentum(p, lr=0.02, momentum=0.8),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, foreach=False),
    ),
    "nesterov": (
        lambda p: optim.momentum(p, lr=0.02, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.1, foreach=False),
    ),
    "adam": (
        lambda p: optim.adam(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1, foreach=False),
    ),
    "adamw": (
        lambda p: optim.adamw(p, lr=0.01, eps=1e-6),
        lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-6, weight_decay=0.01, foreach=False),
    ),
}

CURVATURE = torch.tensor([0.2, 1.0, 4.0], dtype=torch.float64)  # of the loss ½ Σ c w²: its gradient is c w
START = [1.0, -2.0, 0.5]
STEPS = 50


def descend(make: Make) -> Tensor:
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimiser = make([w])
    for _ in range(STEPS):
        optimiser.zero_grad()
        (0.5 * CURVATURE * w.square()).sum().backward()
        optimiser.step()
    return w.detach()


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps_end_where_torchs_plain_loop_ends(name: str) -> None:
    ours, torchs = PAIRS[name]
    torch.testing.assert_close(descend(ours), descend(torchs), rtol=1e-12, atol=1e-14)


def test_sgd_subtracts_the_rate_times_the_gradient() -> None:
    c = CURVATURE.numpy()
    expected = np.array(START) * (1 - 0.05 * c) ** STEPS
    np.testing.assert_allclose(descend(lambda p: optim.sgd(p, lr=0.05)), expected, rtol=1e-12)


def test_momentum_is_the_heavy_ball() -> None:
    w, h = np.array(START), np.zeros(3)
    for _ in range(STEPS):
        h = 0.8 * h + CURVATURE.numpy() * w
        w = w - 0.02 * h
    np.testing.assert_allclose(descend(lambda p: optim.momentum(p, lr=0.02, momentum=0.8)), w, rtol=1e-10)


def test_nesterov_steps_by_the_gradient_and_the_next_velocity() -> None:
    w, h = np.array(START), np.zeros(3)
    for _ in range(STEPS):
        g = CURVATURE.numpy() * w
        h = 0.9 * h + g
        w = w - 0.02 * (g + 0.9 * h)
    np.testing.assert_allclose(descend(lambda p: optim.momentum(p, lr=0.02, nesterov=True)), w, rtol=1e-10)


@pytest.mark.parametrize(("decoupled", "decay"), [(False, 0.0), (False, 0.1), (True, 0.1)])
def test_adam_is_algorithm_one_and_adamw_takes_the_decay_out_of_the_moments(decoupled: bool, decay: float) -> None:
    w, m, v = np.array(START), np.zeros(3), np.zeros(3)
    for t in range(1, STEPS + 1):
        g = CURVATURE.numpy() * w + (0 if decoupled else decay) * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = w - 0.01 * (step + (decay if decoupled else 0) * w)
    make = optim.adamw if decoupled else optim.adam
    np.testing.assert_allclose(descend(lambda p: make(p, lr=0.01, weight_decay=decay)), w, rtol=1e-9)


def test_the_first_step_of_adam_has_the_length_of_its_rate() -> None:
    w = torch.tensor([3.0, -70.0], requires_grad=True)
    optimiser = optim.adam([w], lr=0.01)
    w.grad = torch.tensor([0.001, -500.0])
    optimiser.step()
    torch.testing.assert_close(w.detach(), torch.tensor([2.99, -69.99]))


@pytest.mark.parametrize("name", PAIRS)
def test_every_optimiser_is_fused(name: str) -> None:
    ours, _ = PAIRS[name]
    assert all(group["fused"] for group in ours([torch.zeros(2, requires_grad=True)]).param_groups)
