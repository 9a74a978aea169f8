"""What is not finite stops the run, by name, with the last good weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from test_engine import Drawn, assert_same, make_engine, small, take, train
from torch import Tensor, nn

from dlkit.engine import Engine
from dlkit.guard import Guard, NonFinite
from dlkit.optim import adam, momentum
from dlkit.rundir import load, save
from dlkit.types import Batch

BAD = 3  # updates made before the bad batch
Make = Callable[[Iterable[Tensor]], torch.optim.Optimizer]
OPTIMISERS: dict[str, Make] = {
    "fused adam": lambda p: adam(p, lr=0.01),
    "fused momentum": lambda p: momentum(p, lr=0.05),
    "plain momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "plain rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


def batches(bad: float | None = float("nan"), *, first: int = BAD, count: int = 8) -> list[Batch]:
    """Batches of which number `first` holds one value `bad`."""
    all_of_them = take(Drawn(), count)
    if bad is not None:
        all_of_them[first].x[2, 1] = bad
    return all_of_them


def guarded(folder: Path, make_optim: Make, *, deferred: bool) -> Engine:
    engine = make_engine(folder, small(batch_norm=True), make_optim)
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=deferred)
    return engine


def float_state(model: nn.Module) -> dict[str, Tensor]:
    """Weights and running statistics."""
    return {name: t.clone() for name, t in model.state_dict().items() if t.is_floating_point()}


def assert_equal_states(ours: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert [name for name in other if not torch.equal(ours[name], other[name])] == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_loss_is_named_with_its_step_and_leaves_weights_and_statistics_bitwise(
    tmp_path: Path, bad: float
) -> None:
    good = make_engine(tmp_path, small(batch_norm=True))
    train(good, batches()[:BAD])
    engine = make_engine(tmp_path, small(batch_norm=True))
    with pytest.raises(NonFinite, match=r"^the loss is not finite at step 4\b.*optim\.lr") as caught:
        train(engine, batches(bad))
    assert caught.value.step == engine.state.step == BAD
    assert_equal_states(float_state(engine.state.model), float_state(good.state.model))


def test_a_bad_loss_leaves_the_count_of_batches_as_well(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(batch_norm=True))
    with pytest.raises(NonFinite):
        train(engine, batches())
    assert engine.state.model[2].num_batches_tracked == BAD  # type: ignore[index]


def test_a_bad_gradient_under_a_finite_loss_is_named_by_its_parameter(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    train(engine, batches(None)[:BAD])
    before = copy.deepcopy(engine.state.model)
    engine.state.model[3].weight.register_hook(lambda g: g * float("inf"))  # type: ignore[index]
    with pytest.raises(NonFinite, match=r"^the gradient of 3\.weight is not finite at step 4") as caught:
        train(engine, batches(None)[BAD:])
    assert caught.value.step == BAD
    assert_same(engine.state.model, before)


def test_infinities_of_both_signs_in_a_gradient_do_not_cancel(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    both = torch.zeros(3)
    both[:2] = torch.tensor([float("inf"), float("-inf")])
    engine.state.model[3].bias.register_hook(lambda g: g + both)  # type: ignore[index]
    with pytest.raises(NonFinite, match=r"3\.bias"):
        train(engine, batches(None)[:1])


def test_without_a_guard_the_weights_are_lost(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(), nan_guard=False)
    train(engine, batches())
    assert all(p.isnan().any() for p in engine.state.model.parameters())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_deferred_guard_ends_with_the_same_weights_and_the_first_bad_step(tmp_path: Path, name: str) -> None:
    good = make_engine(tmp_path, small(batch_norm=True), OPTIMISERS[name])
    train(good, batches()[:BAD])
    engine = guarded(tmp_path, OPTIMISERS[name], deferred=True)
    train(engine, batches())  # says nothing yet
    with pytest.raises(NonFinite, match=r"^the loss is not finite at step 4\b") as caught:
        engine.read_log()
    assert caught.value.step == BAD
    assert_equal_states(float_state(engine.state.model), float_state(good.state.model))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_deferred_guard_changes_nothing_of_a_good_run(tmp_path: Path, name: str) -> None:
    at_once, deferred = (guarded(tmp_path, OPTIMISERS[name], deferred=deferred) for deferred in (False, True))
    train(at_once, batches(None))
    train(deferred, batches(None))
    assert deferred.guard is not None
    deferred.guard.check()
    assert_same(at_once.state.model, deferred.state.model)


@pytest.mark.parametrize("name", ["fused adam", "plain rmsprop"])
def test_a_deferred_guard_voids_even_the_first_step(tmp_path: Path, name: str) -> None:
    engine = guarded(tmp_path, OPTIMISERS[name], deferred=True)
    train(engine, batches(first=0))
    with pytest.raises(NonFinite, match=r"at step 1\b"):
        engine.read_log()
    assert_equal_states(float_state(engine.state.model), float_state(small(batch_norm=True)))


def test_a_deferred_guard_tells_a_gradient_from_the_loss(tmp_path: Path) -> None:
    engine = guarded(tmp_path, OPTIMISERS["fused adam"], deferred=True)
    engine.state.model[4].weight.register_hook(lambda g: g * float("nan"))  # type: ignore[index]
    train(engine, batches())  # whose loss is bad later
    with pytest.raises(NonFinite, match=r"gradient.* is not finite at step 1\b"):
        engine.read_log()


@pytest.mark.parametrize("name", ["fused adam", "plain rmsprop"])
def test_a_deferred_guard_keeps_the_moments_of_the_optimiser_as_well(tmp_path: Path, name: str) -> None:
    engine = guarded(tmp_path, OPTIMISERS[name], deferred=True)
    train(engine, batches())
    states = engine.state.optim.state.values()
    assert all(value.isfinite().all() for state in states for value in state.values())


def test_after_a_resume_the_good_statistics_are_those_of_the_file(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(batch_norm=True))
    train(engine, batches(None)[:BAD])
    save(engine.state.state_dict(), tmp_path / "last.pt")
    saved = float_state(engine.state.model)
    fresh = make_engine(tmp_path, small(batch_norm=True))
    fresh.state.load_state_dict(load(tmp_path / "last.pt"))
    with pytest.raises(NonFinite):
        train(fresh, batches()[BAD:])
    assert_equal_states(float_state(fresh.state.model), saved)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMISERS)
def test_on_a_gpu_the_guard_keeps_the_weights_of_the_last_good_step(tmp_path: Path, name: str) -> None:
    device = torch.device("cuda")
    moved = [Batch(x.to(device), y.to(device)) for x, y in batches()]
    good = make_engine(tmp_path, small(batch_norm=True).to(device), OPTIMISERS[name], device=device)
    train(good, moved[:BAD])
    engine = make_engine(tmp_path, small(batch_norm=True).to(device), OPTIMISERS[name], device=device)
    train(engine, moved)
    with pytest.raises(NonFinite, match="at step 4"):
        engine.read_log()
    assert_equal_states(float_state(engine.state.model), float_state(good.state.model))
