"""What regularisers see, that penalties and projections are the formulas, and when in an update they act."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from test_configs import CHOICES, config
from test_engine import Drawn, make_engine, small, take, train
from torch import Tensor, nn

import dlkit
from dlkit.build import build
from dlkit.callbacks.grad_clip import GradClip
from dlkit.guard import Guard, NonFinite
from dlkit.optim import adam, momentum, sgd
from dlkit.regularizers import (
    L1,
    Around,
    L1Ball,
    L2Ball,
    MaxNorm,
    elastic_net,
    l2,
    none,
    parts,
    sum_of,
    weights,
    zero_weights,
)
from dlkit.rundir import load, save
from dlkit.trainer import fit
from dlkit.types import Batch


def two(scale: float = 1.0) -> dict[str, Tensor]:
    """Weights of two layers."""
    return {"a": scale * torch.randn(30, 20), "b": scale * torch.randn(7, 3, 3, 3)}


def name(part: Any) -> str:
    return type(part).__name__


def total(seen: dict[str, Tensor], of_each: Callable[[Tensor], Tensor]) -> float:
    return sum(of_each(weight).double().sum().item() for weight in seen.values())


# What is regularised


def test_biases_and_norm_scales_are_never_regularised() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.LayerNorm((4, 6, 6)),
        nn.GroupNorm(2, 4),
        nn.RMSNorm((6, 6)),
        nn.Flatten(),
        nn.Linear(144, 2),
        nn.PReLU(),
        nn.LSTM(2, 3),
    )
    assert list(weights(model)) == ["0.weight", "6.weight", "8.weight_ih_l0", "8.weight_hh_l0"]


def test_frozen_weights_are_not_regularised() -> None:
    model = small()
    model[1].weight.requires_grad_(False)  # type: ignore[index]
    assert list(weights(model)) == ["3.weight"]


@pytest.mark.parametrize(
    "regularizer", [l2(gamma=0.1), L1(gamma=0.1), L1Ball(tau=0.1), L2Ball(tau=0.1), MaxNorm(bound=0.1)], ids=name
)
def test_no_regulariser_moves_a_bias(tmp_path: Path, regularizer: Any) -> None:
    """With no learning rate the plain step moves nothing."""
    engine = make_engine(tmp_path, small(batch_norm=True), lambda p: sgd(p, lr=0.0), regularizer)
    train(engine, take(Drawn(), 3))
    before = small(batch_norm=True).state_dict()
    for name, p in engine.state.model.named_parameters():
        if name not in engine.weights:
            assert torch.equal(p, before[name])


def test_the_fraction_of_zeros_is_that_of_all_weights_together() -> None:
    seen = {"a": torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "b": torch.tensor([[0.0], [0.0], [1e-30], [1.0]])}
    assert zero_weights(seen).item() == 3 / 8
    assert zero_weights({}).item() == 0


# Penalties


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
    plain = torch.optim.SGD(ours.parameters(), lr=0.1)
    decay = torch.optim.SGD(decayed.parameters(), lr=0.1, weight_decay=0.06)
    for _ in range(30):
        for model, optim, penalty in ((ours, plain, l2(gamma=0.03)), (decayed, decay, None)):
            optim.zero_grad()
            loss = (model(x) - y).square().mean()
            (loss + penalty(weights(model)) if penalty else loss).backward()
            optim.step()
    torch.testing.assert_close(ours.weight, decayed.weight)


def test_none_is_no_regulariser() -> None:
    assert parts(none()) == []  # type: ignore[func-returns-value]


# The orthant step


def weight_with_gradient(values: list[float], gradient: list[float]) -> dict[str, Tensor]:
    weight = torch.tensor([values])
    weight.grad = torch.tensor([gradient])
    return {"w": weight}


def test_the_pseudo_gradient_is_the_steepest_of_the_subgradients() -> None:
    seen = weight_with_gradient([2.0, -2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.5, -1.5, 0.4])
    L1(gamma=0.5).before_update(seen)
    assert seen["w"].grad is not None
    assert seen["w"].grad.tolist() == [[1.5, 0.5, 1.0, -1.0, 0.0]]


def test_a_weight_that_leaves_its_orthant_becomes_zero() -> None:
    seen = weight_with_gradient([0.1, -0.1, 0.1, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.5, 1.5, 0.4])
    part = L1(gamma=0.5)
    part.before_update(seen)
    seen["w"].copy_(torch.tensor([[-0.2, 0.3, 0.05, -0.1, 0.1, 0.1]]))  # the step
    part.after_update(seen)
    torch.testing.assert_close(seen["w"], torch.tensor([[0.0, 0.0, 0.05, -0.1, 0.0, 0.0]]))
    assert part.orthants == {}  # nothing to carry over


@pytest.mark.parametrize("optim", CHOICES["optim"])
def test_l1_makes_exact_zeros_under_every_optimiser_and_l2_makes_none(optim: str, tmp_path: Path) -> None:
    rate = f"optim.lr={ {'sgd': 0.1, 'gd': 0.1, 'momentum': 0.03, 'adagrad': 0.1, 'muon': 0.03}.get(optim, 0.01) }"
    fractions = []
    for regularizer in ("l1", "l2"):
        choices = (f"optim={optim}", rate, f"regularizer={regularizer}", "regularizer.gamma=0.05", "model=logreg")
        run = build(config(*choices, "trainer.max_steps=60", "callbacks=minimal"), tmp_path)
        fit(run.state, run.engine, run.data, run.schedule, eval_every=60, log_every=60)
        fractions.append(zero_weights(run.engine.weights).item())
    assert fractions[0] > 0.1
    assert fractions[1] == 0


# Balls


def projected(part: Around, seen: dict[str, Tensor]) -> dict[str, Tensor]:
    moved = {name: weight.clone() for name, weight in seen.items()}
    part.after_update(moved)
    return moved


@pytest.mark.parametrize("tau", [0.01, 5.0, 200.0])
def test_the_l1_projection_is_the_soft_threshold_that_meets_tau(tau: float) -> None:
    seen = two()
    moved = projected(L1Ball(tau=tau), seen)
    assert total(moved, torch.abs) == pytest.approx(tau, rel=1e-5)
    low, high = 0.0, 10.0
    for _ in range(60):  # the threshold by bisection
        middle = (low + high) / 2
        left = sum(torch.nn.functional.softshrink(w, middle).abs().sum().item() for w in seen.values())
        low, high = (middle, high) if left > tau else (low, middle)
    for name in seen:
        torch.testing.assert_close(moved[name], torch.nn.functional.softshrink(seen[name], low), atol=1e-5, rtol=0)


@pytest.mark.parametrize("tau", [0.01, 5.0])
def test_the_l2_projection_scales_all_weights_alike_to_meet_tau(tau: float) -> None:
    seen = two()
    moved = projected(L2Ball(tau=tau), seen)
    assert total(moved, torch.square) == pytest.approx(tau, rel=1e-5)
    torch.testing.assert_close(moved["a"] / seen["a"], (moved["b"] / seen["b"])[0, 0, 0, 0].expand(30, 20))


@pytest.mark.parametrize("part", [L1Ball(tau=1e4), L2Ball(tau=1e4), MaxNorm(bound=100)], ids=name)
def test_a_projection_changes_no_bit_of_what_is_inside(part: Around) -> None:
    for seen in (two(), {"zeros": torch.zeros(4, 5)}):
        moved = projected(part, seen)
        assert all(torch.equal(moved[name], seen[name]) for name in seen)


@pytest.mark.parametrize("shape", [(6, 10), (6, 3, 3, 3)])
def test_max_norm_is_torchs_renorm_of_the_weights_into_each_unit(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape) * torch.linspace(0.1, 2, 6).view(6, *[1] * (len(shape) - 1))
    moved = projected(MaxNorm(bound=1.5), {"w": weight})["w"]
    torch.testing.assert_close(moved, torch.renorm(weight, 2, 0, 1.5))
    assert 0 < (moved == weight).flatten(1).all(1).sum() < 6


@pytest.mark.parametrize("make_optim", [sgd, momentum, adam])
@pytest.mark.parametrize(
    ("part", "size", "limit"),
    [
        (L1Ball(tau=3.0), lambda seen: total(seen, torch.abs), 3.0),
        (L2Ball(tau=0.5), lambda seen: total(seen, torch.square), 0.5),
        (MaxNorm(bound=0.4), lambda seen: max(w.flatten(1).norm(dim=1).max().item() for w in seen.values()), 0.4),
    ],
    ids=["l1_ball", "l2_ball", "max_norm"],
)
def test_after_every_step_the_weights_are_in_their_ball(
    tmp_path: Path, make_optim: Any, part: Around, size: Any, limit: float
) -> None:
    engine = make_engine(tmp_path, small(), lambda p: make_optim(p, lr=0.05), part)
    sizes = []
    for batch in take(Drawn(), 15):
        train(engine, [batch])
        sizes.append(size(engine.weights))
    assert max(sizes) <= limit
    assert max(sizes) == pytest.approx(limit, rel=1e-5)  # so it does hold something back


# Sums


def test_a_sum_has_the_parts_that_are_given_a_number() -> None:
    mine = l2(gamma=3.0)
    chosen = sum_of(l1=0.1, l2=0.2, l1_ball=3, l2_ball=4, max_norm=5, others=[mine, [MaxNorm(bound=1)]])
    kinds = [type(part) for part in chosen]
    assert kinds == [partial, L1, L1Ball, L2Ball, MaxNorm, partial, MaxNorm]
    assert sum_of() == []


def test_all_constraints_of_a_sum_hold_after_a_step(tmp_path: Path) -> None:
    everything = sum_of(l1=0.01, l2=0.01, l1_ball=3.0, l2_ball=0.5, max_norm=0.4)
    engine = make_engine(tmp_path, small(), lambda p: sgd(p, lr=0.5), everything)
    train(engine, take(Drawn(), 5))
    assert total(engine.weights, torch.abs) <= 3.0
    assert total(engine.weights, torch.square) <= 0.5
    assert max(w.norm(dim=1).max().item() for w in engine.weights.values()) <= 0.4


def test_the_elastic_net_is_the_sum_of_l1_and_l2(tmp_path: Path) -> None:
    ways = (elastic_net(l1=0.02, l2=0.1), [L1(gamma=0.02), l2(gamma=0.1)])
    both = [make_engine(tmp_path, small(), penalty=way) for way in ways]
    for engine in both:
        train(engine, take(Drawn(), 10))
    for ours, other in zip(both[0].state.model.parameters(), both[1].state.model.parameters(), strict=True):
        assert torch.equal(ours, other)
    assert zero_weights(both[0].weights) > 0


# Their place in an update


def test_gradients_are_clipped_before_gamma_is_added_to_them(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(), lambda p: sgd(p, lr=1.0), L1(gamma=10.0))
    batch = Drawn().examples(8, 0)
    before = small()[3].weight  # type: ignore[index]
    engine.backward(batch)
    GradClip(max_norm=1e-6).on_grad(engine.state)
    engine.update()
    gradient = engine.state.model[3].weight.grad  # type: ignore[index]
    torch.testing.assert_close(gradient, 10.0 * before.detach().sign(), atol=1e-5, rtol=0)


def test_scaled_gradients_are_unscaled_before_gamma_is_added_to_them(tmp_path: Path) -> None:
    half = make_engine(tmp_path, small(), lambda p: sgd(p, lr=0.1), L1(gamma=0.1), dtype=torch.float16)
    full = make_engine(tmp_path, small(), lambda p: sgd(p, lr=0.1), L1(gamma=0.1))
    for engine in (half, full):
        train(engine, [Drawn().examples(8, 0)])
    for ours, other in zip(half.state.model.parameters(), full.state.model.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=0.02, atol=0.002)


def test_the_pseudo_gradient_does_not_depend_on_the_parts_of_a_batch(tmp_path: Path) -> None:
    batch = Drawn(batch_size=10).examples(10, 0)
    grads = [
        train(make_engine(tmp_path, small(), penalty=elastic_net(l1=0.05, l2=0.1), accumulate=parts), [batch])
        for parts in (1, 3)
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("part", [L1(gamma=0.01), L1Ball(tau=3.0), L2Ball(tau=0.5), MaxNorm(bound=0.4)], ids=name)
def test_a_step_that_is_not_finite_leaves_every_bit_of_the_weights(
    tmp_path: Path, part: Around, deferred: bool
) -> None:
    engine = make_engine(tmp_path, small(), penalty=part)
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=deferred)
    batches = take(Drawn(), 8)
    train(engine, batches[:5])
    before = {name: p.clone() for name, p in engine.state.model.named_parameters()}
    with pytest.raises(NonFinite, match="at step 6"):
        train(engine, [Batch(x * float("nan"), y) for x, y in batches[5:]])
        engine.check()
    for name, p in engine.state.model.named_parameters():
        assert torch.equal(p, before[name])


@pytest.mark.parametrize("regularizer", [L1(gamma=0.02), L1Ball(tau=3.0), elastic_net(l1=0.01, l2=0.01)], ids=name)
def test_a_resume_is_bitwise_exact_under_a_regulariser(tmp_path: Path, regularizer: Any) -> None:
    batches = take(Drawn(), 12)
    whole, first, second = (make_engine(tmp_path, small(), penalty=regularizer) for _ in range(3))
    train(whole, batches)
    train(first, batches[:7])
    save(first.state.state_dict(), tmp_path / "last.pt")
    second.state.load_state_dict(load(tmp_path / "last.pt"))
    train(second, batches[7:])
    assert zero_weights(whole.weights) > 0
    for ours, other in zip(second.state.model.parameters(), whole.state.model.parameters(), strict=True):
        assert torch.equal(ours, other)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_regulariser_waits_for_a_gpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    everything = sum_of(l1=0.01, l2=0.01, l1_ball=3.0, l2_ball=0.5, max_norm=0.4)
    engine = make_engine(tmp_path, small().to(device), penalty=everything, device=device)
    batches = [Batch(x.to(device), y.to(device)) for x, y in take(Drawn(), 5)]
    train(engine, batches[:1])
    torch.cuda.set_sync_debug_mode("error")
    try:
        train(engine, batches[1:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total(engine.weights, torch.abs) <= 3.0


def test_a_sum_is_typed_by_its_numbers_and_takes_ones_own(tmp_path: Path) -> None:
    own = "regularizer.others=[{_target_:dlkit.regularizers.MaxNorm,bound:2}]"
    run = build(config("regularizer=sum", "regularizer.l1=0.1", "regularizer.l2=0.2", own), tmp_path)
    assert [type(part) for part in run.engine.arounds] == [L1, MaxNorm]
    assert len(run.engine.penalties) == 1


def test_a_run_reports_the_fraction_of_weights_that_are_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["model=logreg", "trainer.max_steps=50", "callbacks=minimal", "optim.lr=0.01"]
    run = dlkit.train([*words, "run_dir=r", "regularizer=l1", "regularizer.gamma=0.05"])
    fraction = zero_weights(weights(run.model)).item()
    assert fraction > 0.1
    assert run.result["zero_weights"] == pytest.approx(fraction, abs=1e-6)
    assert f"zeros   {100 * fraction:.1f}% of the weights are exactly zero" in (run.folder / "train.log").read_text()
    logs = [row for row in run.metrics if "train/loss" in row]
    assert logs[-1]["train/zero_weights"] == pytest.approx(fraction)
    plain = dlkit.train([*words, "run_dir=s"])
    assert plain.result["zero_weights"] == 0
    assert not any("train/zero_weights" in row for row in plain.metrics)
