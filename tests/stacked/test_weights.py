"""Weights of runs that are trained as one model, beside those of each run alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stacked_runs import DIGITS, SMALL, alone, apart, asked, built, together

from dlkit.stacked.forward import Refused
from dlkit.stacked.memory import activations
from dlkit.stacked.together import Together

BARE = ("~callbacks.record", "~callbacks.checkpoint")  # no files
SEEDS = ("seed=0", "seed=1", "seed=2")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def furthest(words: tuple[str, ...], variants: tuple[str, ...], base: tuple[str, ...] = SMALL) -> float:
    """The largest relative distance of a run's weights in a stack from those that it comes to alone."""
    runs, single = ([built(one) for one in asked((*base, *words, *BARE), variants)] for _ in range(2))
    together(runs)
    for run in single:
        alone(run)
    return max(apart(run, other) for run, other in zip(runs, single, strict=True))


@pytest.mark.parametrize("optim", ["sgd", "momentum", "adam", "adamw", "rmsprop", "adagrad"])
def test_after_50_steps_weights_are_those_of_the_run_alone_whatever_rate_decay_and_schedule_each_has(
    optim: str,
) -> None:
    rates = ("0.1", "0.02", "0.05") if optim in ("sgd", "momentum", "adagrad") else ("0.003", "0.001", "0.0003")
    variants = (
        f"optim.lr={rates[0]} seed=0",
        f"optim.lr={rates[1]} seed=1 optim.weight_decay=0.01",
        f"optim.lr={rates[2]} seed=2 optim.weight_decay=0.1 scheduler=cosine scheduler.warmup_steps=5",
    )
    assert furthest((f"optim={optim}",), variants) < 1e-4


def test_without_differing_rates_they_are_too() -> None:
    assert furthest(("optim=adamw",), SEEDS) < 1e-4


def test_layers_may_have_rates_of_their_own() -> None:
    assert furthest(("optim=adam", "optim.layer_decay=0.5"), SEEDS) < 1e-4


def test_penalties_and_label_smoothing_may_differ() -> None:
    variants = tuple(
        f"seed={k} regularizer.gamma={gamma} loss.label_smoothing={smoothing}"
        for k, (gamma, smoothing) in enumerate([(0.1, 0.0), (0.01, 0.1), (0.0, 0.2)])
    )
    assert furthest(("regularizer=l2", "loss=cross_entropy"), variants) < 1e-4


@pytest.mark.parametrize("regularizer", ["l1", "elastic_net", "max_norm"])
def test_so_may_what_acts_around_the_step(regularizer: str) -> None:
    key = {"l1": "gamma", "elastic_net": "l1", "max_norm": "bound"}[regularizer]
    more = ("regularizer.l2=0.01",) if regularizer == "elastic_net" else ()
    variants = tuple(f"seed={k} regularizer.{key}={0.001 * 10**k}" for k in range(3))
    assert furthest((f"regularizer={regularizer}", "optim=sgd", "optim.lr=0.1", *more), variants) < 1e-4


def test_gradients_are_clipped_by_each_run_for_itself() -> None:
    variants = tuple(f"seed={k} +callbacks.clip.max_norm={0.1 * 10**k}" for k in range(3))
    clip = "+callbacks.clip._target_=dlkit.callbacks.grad_clip.GradClip"
    assert furthest(("optim=sgd", "optim.lr=0.1", clip), variants) < 1e-4


def test_a_convolutional_net_with_batch_norm_is_mapped_over_its_replicas() -> None:
    net = (
        "model=lego",
        "model.layers=[{conv:4},batchnorm,relu,{pool:2},{linear:out}]",
        "trainer.max_steps=20",
        "optim=momentum",
    )
    assert furthest(net, SEEDS, DIGITS) < 1e-3


def test_running_statistics_are_those_of_the_run_alone() -> None:
    words = (*SMALL, "model.batch_norm=true", "optim=momentum", "trainer.max_steps=10", *BARE)
    runs, single = ([built(one) for one in asked(words, SEEDS)] for _ in range(2))
    together(runs)
    for run, other in zip(runs, single, strict=True):
        alone(other)
        found, wanted = dict(run.state.model.named_buffers()), dict(other.state.model.named_buffers())
        for name, buffer in wanted.items():
            torch.testing.assert_close(found[name], buffer, rtol=1e-3, atol=1e-5)


def test_averages_of_weights_follow_each_run() -> None:
    words = (*SMALL, "trainer.ema=0.9", *BARE)
    runs, single = ([built(one) for one in asked(words, SEEDS)] for _ in range(2))
    together(runs)
    for run, other in zip(runs, single, strict=True):
        alone(other)
        torch.testing.assert_close(
            run.state.eval_model.state_dict(), other.state.eval_model.state_dict(), rtol=1e-3, atol=1e-5
        )


def test_augmented_images_are_those_that_each_run_sees_alone() -> None:
    assert furthest(("data.augment.shift=0.1",), SEEDS) < 1e-4


def test_the_whole_split_as_a_batch_is_the_same_for_all() -> None:
    assert furthest(("optim=gd", "optim.lr=0.5"), SEEDS) < 1e-4


def test_units_are_dropped_at_each_runs_own_rate() -> None:
    words = (*SMALL, "model.hidden=[2000]", *BARE)
    runs = [built(one) for one in asked(words, ("model.dropout=0.1", "model.dropout=0.5", "model.dropout=1"))]
    stack = Together(runs)
    x = torch.rand(3, 64, 1, 8, 8)
    seen = []
    stack.forward.layers.insert(4, lambda tensors, x: seen.append(x) or x)
    stack.forward(stack.stack.tensors, x)
    stack.forward.training = False
    stack.forward(stack.stack.tensors, x)
    dropped, whole = seen
    for k, rate in enumerate((0.1, 0.5, 1.0)):
        lit = whole[k] > 0
        kept = dropped[k][lit] != 0
        assert kept.float().mean().item() == pytest.approx(1 - rate, abs=0.01)
        if rate < 1:
            torch.testing.assert_close(dropped[k][lit][kept], whole[k][lit][kept] / (1 - rate))


def test_optimisers_that_are_not_linear_in_the_rate_are_refused() -> None:
    with pytest.raises(Refused, match="cannot be stacked"):
        Together([built(one) for one in asked((*SMALL, "optim=muon"), SEEDS)])


def test_momenta_may_not_differ() -> None:
    runs = [built(one) for one in asked((*SMALL, "optim=momentum"), ("optim.momentum=0.9", "optim.momentum=0.8"))]
    with pytest.raises(Refused, match="more than rate and decay"):
        Together(runs)


def test_gradients_that_are_logged_are_those_without_the_decay() -> None:
    runs = [
        built(one) for one in asked((*SMALL, "optim=momentum", *BARE), [f"optim.weight_decay={d}" for d in (0.1, 0.2)])
    ]
    stack = Together(runs)
    stack.backward(next(runs[0].data.train_with([runs[1].data], 0)))
    gradients = {name: p.grad.clone() for name, p in stack.stack.trained.items() if p.grad is not None}
    stack.step()
    assert all(torch.equal(p.grad, gradients[name]) for name, p in stack.stack.trained.items() if p.grad is not None)


def test_measuring_what_fits_into_memory_leaves_statistics_and_random_numbers_as_they_are() -> None:
    (run,) = (built(one) for one in asked((*SMALL, "model.batch_norm=true", "model.dropout=0.5", *BARE), ["seed=0"]))
    before, random = {n: b.clone() for n, b in run.state.model.named_buffers()}, torch.get_rng_state()
    assert activations(run) > 0
    assert all(torch.equal(buffer, before[name]) for name, buffer in run.state.model.named_buffers())
    assert torch.equal(torch.get_rng_state(), random)
