"""The optimisers that call torch's kernels directly: bit for bit torch's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlkit.optim import direct

Make = Callable[..., torch.optim.Optimizer]
SAME: dict[str, tuple[Make, Make, dict[str, Any]]] = {
    "sgd": (direct.SGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.01, "fused": True}),
    "momentum": (direct.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "fused": True}),
    "nesterov": (direct.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "fused": True}),
    "adam": (direct.Adam, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.99), "fused": True}),
    "amsgrad": (direct.Adam, torch.optim.Adam, {"lr": 0.01, "amsgrad": True, "fused": True}),
    "adamw": (direct.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1, "fused": True}),
    "rmsprop": (direct.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "weight_decay": 0.1}),
    "adagrad": (direct.Adagrad, torch.optim.Adagrad, {"lr": 0.1, "lr_decay": 0.01, "fused": True}),
}


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def grouped(model: nn.Module) -> list[dict[str, Any]]:
    first, *rest = model.parameters()
    return [{"params": [first], "weight_decay": 0.0}, {"params": rest, "lr": 0.05}]


def train(model: nn.Module, optimiser: torch.optim.Optimizer, steps: Iterable[int]) -> list[Tensor]:
    for step in steps:
        optimiser.zero_grad()
        x = torch.randn(7, 5, generator=torch.manual_seed(step))
        model(x).square().sum().backward()
        if step == 2:
            next(model.parameters()).grad = None  # a layer that was not used
        optimiser.step()
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("name", SAME)
def test_weights_and_state_are_bit_for_bit_torchs(name: str) -> None:
    ours, torchs, options = SAME[name]
    mine, theirs = net(), net()
    a, b = ours(grouped(mine), **options), torchs(grouped(theirs), **options)
    assert a.direct, "with the torch that is installed the kernels are called directly"
    for x, y in zip(train(mine, a, range(6)), train(theirs, b, range(6)), strict=True):
        assert torch.equal(x, y)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert a.state[p].keys() == b.state[q].keys()
        assert all(torch.equal(a.state[p][key], b.state[q][key]) for key in a.state[p])


@pytest.mark.parametrize("name", SAME)
def test_it_goes_on_from_a_state_of_torchs(name: str) -> None:
    ours, torchs, options = SAME[name]
    whole, parted = net(), net()
    expected = train(whole, torchs(grouped(whole), **options), range(8))
    first = torchs(grouped(parted), **options)
    train(parted, first, range(4))
    second = ours(grouped(parted), **options)
    second.load_state_dict(first.state_dict())
    for x, y in zip(train(parted, second, range(4, 8)), expected, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("name", sorted(SAME.keys() - {"rmsprop"}))
@pytest.mark.parametrize("void", [0.0, 1.0])
def test_a_void_step_changes_nothing_and_the_gradients_are_unscaled(name: str, void: float) -> None:
    ours, torchs, options = SAME[name]
    mine, theirs = net(), net()
    a, b = ours(mine.parameters(), **options), torchs(theirs.parameters(), **options)
    for optimiser in (a, b):
        optimiser.grad_scale, optimiser.found_inf = torch.tensor(4.0), torch.tensor(void)  # type: ignore[attr-defined]
    for x, y, old in zip(train(mine, a, [0]), train(theirs, b, [0]), net().parameters(), strict=True):
        assert torch.equal(x, y)
        assert torch.equal(x, old) == bool(void)


def test_what_torch_calls_hooks_is_called() -> None:
    model, seen = net(), []
    optimiser = direct.Adam(model.parameters(), lr=0.01, fused=True)
    optimiser.register_step_post_hook(lambda *_: seen.append("post"))
    train(model, optimiser, [0, 1])
    assert seen == ["post", "post"]


def test_a_closure_is_evaluated_with_gradients() -> None:
    model = net()
    optimiser = direct.SGD(model.parameters(), lr=0.1, fused=True)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = model(torch.ones(2, 5)).square().sum()
        loss.backward()
        return loss

    before = closure()
    assert torch.equal(optimiser.step(closure), before)
    assert closure() < before


def test_parameters_of_two_types_are_left_to_torchs_own_step() -> None:
    mixed = [torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.float64, requires_grad=True)]
    optimiser = direct.SGD(mixed, lr=0.5, fused=True)
    assert not optimiser.direct
    for p in mixed:
        p.grad = torch.ones_like(p)
    optimiser.step()
    assert [p.tolist() for p in mixed] == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.slow
def test_neither_making_stepping_nor_saving_imports_the_compiler() -> None:
    code = """
import sys, torch
from dlkit import optim
p = torch.ones(3, 2, requires_grad=True)
for make in (optim.muon, optim.rmsprop, optim.adam, optim.adamw, optim.momentum, optim.sgd, optim.adagrad):
    optimiser = make([p], lr=0.1)
    p.grad = torch.ones(3, 2)
    optimiser.step()
    optimiser.load_state_dict(optimiser.state_dict())
assert "torch._dynamo" not in sys.modules
import torch._dynamo
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)) == 2
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
