"""Optimisers against torch's plain loops and against their formulas worked in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlkit import optim
from dlkit.optim.groups import groups
from dlkit.optim.together import Together

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
    "gd": (lambda p: optim.gd(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1, foreach=False)),
    "adagrad": (
        lambda p: optim.adagrad(p, lr=0.1, weight_decay=0.1),
        lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.1, foreach=False),
    ),
    "rmsprop": (
        lambda p: optim.rmsprop(p, lr=0.01, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, weight_decay=0.1, foreach=False),
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


def test_adagrad_divides_by_the_root_of_all_squares_with_epsilon_outside() -> None:
    w, s = np.array(START), np.zeros(3)
    for _ in range(STEPS):
        g = CURVATURE.numpy() * w
        s = s + g**2
        w = w - 0.1 * g / (np.sqrt(s) + 0.01)
    np.testing.assert_allclose(descend(lambda p: optim.adagrad(p, lr=0.1, eps=0.01)), w, rtol=1e-10)


def test_rmsprop_divides_by_the_root_of_the_mean_square_with_epsilon_outside() -> None:
    w, s = np.array(START), np.zeros(3)
    for _ in range(STEPS):
        g = CURVATURE.numpy() * w
        s = 0.9 * s + 0.1 * g**2
        w = w - 0.01 * g / (np.sqrt(s) + 0.01)
    np.testing.assert_allclose(descend(lambda p: optim.rmsprop(p, lr=0.01, eps=0.01)), w, rtol=1e-10)


@pytest.mark.parametrize("make", [optim.adagrad, optim.rmsprop])
def test_with_a_usual_epsilon_it_makes_no_difference_whether_it_is_taught_inside_the_root(make) -> None:  # type: ignore[no-untyped-def]
    w, s, a = np.array(START), np.zeros(3), 0.9 if make is optim.rmsprop else None
    for _ in range(STEPS):
        g = CURVATURE.numpy() * w
        s = s + g**2 if a is None else a * s + (1 - a) * g**2
        w = w - 0.01 * g / np.sqrt(s + 1e-16)
    np.testing.assert_allclose(descend(lambda p: make(p, lr=0.01, eps=1e-8)), w, rtol=1e-6, atol=1e-7)


def test_the_first_step_of_adam_has_the_length_of_its_rate() -> None:
    w = torch.tensor([3.0, -70.0], requires_grad=True)
    optimiser = optim.adam([w], lr=0.01)
    w.grad = torch.tensor([0.001, -500.0])
    optimiser.step()
    torch.testing.assert_close(w.detach(), torch.tensor([2.99, -69.99]))


@pytest.mark.parametrize("name", sorted(set(PAIRS) - {"rmsprop"}))  # torch has no fused form of it
def test_every_optimiser_is_fused(name: str) -> None:
    ours, _ = PAIRS[name]
    assert all(group["fused"] for group in ours([torch.zeros(2, requires_grad=True)]).param_groups)


# Muon with AdamW


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 2))


def fit(model: nn.Module, optimisers: list[torch.optim.Optimizer], steps: int = STEPS, first: int = 0) -> None:
    for step in range(first, first + steps):
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        for optimiser in optimisers:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * 0.99**step
        model(x).square().mean().backward()
        for optimiser in optimisers:
            optimiser.step()


def with_rates(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """As the build leaves it."""
    for group in optimiser.param_groups:
        group["initial_lr"] = group["lr"]
    return optimiser


def assert_same(model: nn.Module, other: nn.Module) -> None:
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


def test_muon_is_torchs_muon_on_matrices_and_torchs_adamw_on_the_rest() -> None:
    ours, theirs = net(), net()
    fit(ours, [with_rates(optim.muon(groups(ours, True), lr=0.01, weight_decay=0.1))])
    matrices = [p for p in theirs.parameters() if p.ndim == 2]
    vectors = [p for p in theirs.parameters() if p.ndim != 2]
    both = [
        torch.optim.Muon(matrices, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(vectors, lr=0.01, weight_decay=0.0, fused=True),
    ]
    fit(theirs, [with_rates(optimiser) for optimiser in both])
    assert_same(ours, theirs)


def test_muons_first_update_is_orthogonal_and_of_the_size_of_adamws() -> None:
    w = torch.zeros(32, 64, requires_grad=True)
    optimiser = optim.muon([w], lr=0.01, weight_decay=0.0)
    w.grad = torch.randn(32, 64)
    optimiser.step()
    singular = torch.linalg.svdvals(w.detach()) / (0.01 * 0.2 * 8)
    assert ((singular > 0.6) & (singular < 1.3)).all()
    assert w.detach().square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.15)


def test_muon_leaves_named_matrices_filters_and_vectors_to_adamw() -> None:
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(9, 4),
            "conv": nn.Conv1d(4, 4, 3),
            "hidden": nn.Linear(4, 4),
            "head": nn.Linear(4, 2),
        }
    )
    optimiser = optim.muon(groups(model, True), lr=0.01, adamw_for=["*embed*", "head.*"])
    assert isinstance(optimiser, Together)
    first, second = ([n for g in part.param_groups for n in g["param_names"]] for part in optimiser.parts)
    assert first == ["hidden.weight"]
    assert set(second) == {name for name, _ in model.named_parameters()} - {"hidden.weight"}


def test_two_optimisers_have_one_state_and_go_on_from_it_with_the_same_bits() -> None:
    whole, first, second = net(), net(), net()
    fit(whole, [with_rates(optim.muon(groups(whole, True), lr=0.01))], 20)
    optimiser = with_rates(optim.muon(groups(first, True), lr=0.01))
    fit(first, [optimiser], 9)
    second.load_state_dict(first.state_dict())
    other = with_rates(optim.muon(groups(second, True), lr=0.01))
    other.load_state_dict(optimiser.state_dict())
    fit(second, [other], 11, first=9)
    assert_same(whole, second)


def test_a_net_without_matrices_is_adamws_alone() -> None:
    w = torch.ones(3, requires_grad=True)
    optimiser = optim.muon([w], lr=0.01)
    w.square().sum().backward()
    optimiser.step()
    assert (w < 1).all()
