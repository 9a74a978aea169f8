"""Penalties: what they see, and that they are weight decay where they should be."""

from __future__ import annotations

import torch
from torch import nn

from dlkit.regularizers import l2, none, weights


def test_biases_and_norm_scales_are_never_regularised() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2), nn.PReLU()
    )
    assert list(weights(model)) == ["0.weight", "4.weight"]


def test_l2_is_gamma_times_the_sum_of_squares() -> None:
    seen = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0], [0.0]])}
    assert l2(gamma=0.5)(seen).item() == 7.0


def test_the_gradient_of_l2_is_twice_gamma_times_the_weight() -> None:
    weight = torch.randn(3, 4, requires_grad=True)
    l2(gamma=0.25)({"w": weight}).backward()
    torch.testing.assert_close(weight.grad, 0.5 * weight.detach())


def test_l2_under_sgd_is_weight_decay_of_twice_gamma() -> None:
    x, y = torch.randn(16, 5), torch.randn(16, 3)
    ours, decayed = nn.Linear(5, 3, bias=False), nn.Linear(5, 3, bias=False)
    decayed.load_state_dict(ours.state_dict())
    sgd = torch.optim.SGD(ours.parameters(), lr=0.1)
    decay = torch.optim.SGD(decayed.parameters(), lr=0.1, weight_decay=0.06)
    for _ in range(30):
        for model, optim, penalty in ((ours, sgd, l2(gamma=0.03)), (decayed, decay, None)):
            optim.zero_grad()
            loss = (model(x) - y).square().mean()
            (loss + penalty(weights(model)) if penalty else loss).backward()
            optim.step()
    torch.testing.assert_close(ours.weight, decayed.weight)


def test_none_is_no_penalty() -> None:
    assert none() is None  # type: ignore[func-returns-value]
