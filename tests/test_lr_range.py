"""The learning-rate range test: what it measures, what it suggests, and that it leaves no trace."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_configs import config
from torch import Tensor

from dlkit.build import Experiment, build
from dlkit.callbacks.base import Callback
from dlkit.callbacks.grad_clip import GradClip
from dlkit.engine import Engine
from dlkit.lr_range import lr_range, suggest
from dlkit.rng import global_state, set_global_state
from dlkit.trainer import evaluate, fit
from dlkit.types import Spec

IRIS = ("data=iris", "callbacks=minimal", "trainer.device=cpu")


class Own(torch.nn.Module):
    """A model of the user's: batch norm, dropout, and a buffer that no checkpoint holds."""

    def __init__(self, spec: Spec, outputs: int) -> None:
        super().__init__()
        self.first, self.norm = torch.nn.Linear(spec.input_shape[0], 8), torch.nn.BatchNorm1d(8)
        self.last = torch.nn.Linear(8, outputs)
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.last(torch.dropout(self.norm(self.first(x)), 0.5, self.training))


def made(*overrides: str, model: type | None = None) -> Experiment:
    cfg = config(*IRIS, *overrides)
    if model:
        cfg.model = {"_target_": f"{__name__}.{model.__name__}"}
    return build(cfg, Path())


def train(experiment: Experiment, steps: int) -> Experiment:
    experiment.state.total_steps = experiment.state.step + steps
    if steps:
        run = (experiment.state, experiment.engine, experiment.data, experiment.schedule, clips(experiment))
        fit(*run, eval_every=10**9, log_every=10**9)
    return experiment


def clips(experiment: Experiment) -> list[Callback]:
    return [callback for callback in experiment.callbacks if isinstance(callback, GradClip)]


def everything(experiment: Experiment) -> dict[str, Any]:
    """All that training goes on from, by path; tensors as bytes with their strides."""
    state, engine, model = experiment.state, experiment.engine, experiment.state.model
    return leaves(
        {
            "state": state.state_dict(),
            "buffers": dict(model.named_buffers()),
            "gradients": [p.grad for p in model.parameters()],
            "trains": [p.requires_grad for p in model.parameters()],
            "modes": [module.training for module in model.modules()],
            "rates": [(group["lr"], group["initial_lr"]) for group in state.optim.param_groups],
            "norm": state.grad_norm,
            "engine": {name: value for name, value in vars(engine).items() if name in ("last", "batch_loss")},
            "same": [id(engine.guard), id(engine.scaler), id(state.parts), id(state.losses)],
        }
    )


def leaves(thing: Any, name: str = "") -> dict[str, Any]:
    if isinstance(thing, Tensor):
        return {name: (thing.detach().clone().numpy().tobytes(), thing.stride(), thing.dtype)}
    if isinstance(thing, dict | list | tuple):
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        return {path: leaf for key, value in items for path, leaf in leaves(value, f"{name}/{key}").items()}
    return {name: thing}


SETTINGS = {
    "adam with averaged weights": ("optim=adam", "trainer.ema=0.9"),
    "momentum, clipped, rates by layer": (
        "optim=momentum", "callbacks=default", "callbacks.grad_clip.max_norm=1", "optim.layer_decay=0.5"),
    "muon, which is two optimisers": ("optim=muon",),
    "full batches": ("optim=gd",),
    "L1": ("optim=rmsprop", "regularizer=l1"),
    "float16 with its scaler": ("optim=adam", "trainer.dtype=float16"),
    "convolutions with batch norm": ("data=digits", "model=cnn", "model.batch_norm=true", "model.dropout=0.2"),
}  # fmt: skip


@pytest.mark.parametrize("overrides", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("before", [0, 2], ids=["at the start", "after two steps"])
def test_it_leaves_no_trace(overrides: tuple[str, ...], before: int) -> None:
    experiment = train(made(*overrides), before)
    expected = everything(experiment)
    curve = lr_range(experiment, low=1e-4, high=100, steps=12)
    assert len(curve.losses) > 3
    assert everything(experiment) == expected


def test_training_afterwards_gives_the_same_bits_as_without_it() -> None:
    tested, other = made(model=Own), made(model=Own)
    random = global_state()
    lr_range(tested, low=1e-4, high=10, steps=12)
    afterwards = everything(train(tested, 5))
    set_global_state(random)
    plain = everything(train(other, 5))
    for same in [path for path in plain if path.startswith(("/same", "/state/seconds"))]:
        del plain[same], afterwards[same]
    assert afterwards == plain


def test_a_buffer_that_no_checkpoint_holds_is_put_back_too() -> None:
    experiment = made(model=Own)
    before = float(experiment.state.model.calls)
    lr_range(experiment, low=1e-4, high=10, steps=12)
    assert float(experiment.state.model.calls) == before


def test_it_leaves_no_trace_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = made("trainer.dtype=float16")
    experiment.state.model.eval()
    expected, update = everything(experiment), Engine.update

    def third_fails(engine: Engine) -> None:
        if len(engine.state.losses) == 2:
            raise RuntimeError("out of memory")
        update(engine)

    monkeypatch.setattr(Engine, "update", third_fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        lr_range(experiment, low=1e-4, high=1, steps=12)
    assert everything(experiment) == expected


def test_the_losses_are_those_of_a_loop_written_out_with_rising_rates() -> None:
    overrides = ("optim=momentum", "optim.lr_scale={last:0.5}", "callbacks=default", "callbacks.grad_clip.max_norm=0.5")
    scheduled = made(*overrides, "scheduler=cosine", "scheduler.warmup_steps=5", model=Own)
    curve = lr_range(scheduled, low=1e-3, high=1, steps=10)
    model = made(*overrides, model=Own).state.model.train()
    last = {id(p) for p in model.last.parameters()}
    optim = torch.optim.SGD([{"params": [p], "half": id(p) in last} for p in model.parameters()], momentum=0.9)
    expected = []
    for i, (x, y) in zip(range(10), scheduled.data.train(0), strict=False):
        for group in optim.param_groups:
            group["lr"] = 1e-3 * 1000 ** (i / 9) * (0.5 if group["half"] else 1)
        optim.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optim.step()
        expected.append(loss.item())
    assert curve.losses == pytest.approx(expected, rel=1e-5)
    assert curve.rates == pytest.approx([1e-3 * 1000 ** (i / 9) for i in range(10)])


def test_the_smoothed_loss_is_the_mean_with_weights_that_fall_by_a_tenth_a_step() -> None:
    curve = lr_range(made(), low=1e-4, high=1e-2, steps=20)
    expected = [np.average(curve.losses[: n + 1], weights=0.9 ** np.arange(n, -1, -1)) for n in range(20)]
    assert curve.smoothed == pytest.approx(expected)


@pytest.mark.parametrize("guard", ["true", "false"])
def test_it_ends_where_the_loss_diverges_or_is_not_finite(guard: str) -> None:
    climbing = lr_range(made("optim=sgd", f"trainer.nan_guard={guard}"), low=1e-4, high=1e4, steps=60)
    assert climbing.stopped is not None
    assert len(climbing.losses) < 60
    assert all(mean <= 4 * min(climbing.smoothed) for mean in climbing.smoothed[:-1])
    broken = lr_range(made("optim=sgd", "trainer.overfit_batches=1"), low=1, high=1e38, steps=10)
    assert np.isfinite(broken.losses).all()
    assert broken.stopped is not None


def test_the_suggested_rate_trains_better_than_a_tenth_of_it_and_than_thirty_times_it() -> None:
    suggestion = lr_range(made("data=digits", "optim=momentum"), low=1e-5, high=10, steps=100).suggestion
    assert suggestion is not None

    def loss(rate: float) -> float:
        experiment = train(made("data=digits", "optim=momentum", f"optim.lr={rate}", "trainer.nan_guard=false"), 100)
        return evaluate(experiment.engine, experiment.state.model, experiment.data.eval("test"), "test")["test/loss"]

    assert loss(suggestion) < min(loss(suggestion / 10), loss(suggestion * 30))


RATES = np.geomspace(1e-5, 10, 100).tolist()
SCATTER = np.sin(np.arange(100))
DOWN, UP = np.linspace(2, 1, 70).tolist(), np.linspace(1, 3, 30).tolist()


def test_the_suggestion_is_a_tenth_of_the_rate_where_the_loss_is_least() -> None:
    assert suggest(DOWN + UP, DOWN + UP, RATES, None) == (0.015, "")  # 1e-5 · 10^(6 · 69/99) / 10
    assert suggest(DOWN + UP[:5], DOWN + UP[:5], RATES[:75], RATES[75]) == (0.015, "")


@pytest.mark.parametrize(
    ("losses", "stopped", "why"),
    [
        (np.linspace(2, 1, 100), None, "never rises again between 10 and 10: raise --to"),
        (np.linspace(2, 5, 100), 10.0, "never falls between 1e-05 and 10: lower --from"),
        (2 + 0.1 * SCATTER, None, "never falls between 1e-05 and 10: raise --to or --steps"),
        (np.array([2.0]), 2e-5, "never falls between 1e-05 and 1e-05: lower --from"),
    ],
)
def test_where_the_loss_shows_none_it_says_what_to_do(losses: Any, stopped: float | None, why: str) -> None:
    smoothed = 2 + (losses - 2) / 4
    suggestion, told = suggest(losses.tolist(), smoothed.tolist(), RATES[: len(losses)], stopped)
    assert suggestion is None
    assert told == f"the loss {why}"


@pytest.mark.parametrize(("low", "high", "steps"), [(1, 1, 20), (2, 1, 20), (0, 1, 20), (1, math.inf, 20), (1, 2, 9)])
def test_a_range_that_shows_nothing_is_refused(low: float, high: float, steps: int) -> None:
    with pytest.raises(ValueError, match="wants 0 < low < high, and 10 steps or more"):
        lr_range(made(), low=low, high=high, steps=steps)


def test_an_optimiser_without_a_rate_and_a_loss_that_never_was_finite_are_refused() -> None:
    experiment = made()
    with torch.no_grad():
        next(experiment.state.model.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match="not finite before the first update"):
        lr_range(experiment, low=1, high=2, steps=10)
    del experiment.state.config["optim"]["lr"]
    with pytest.raises(ValueError, match="no option lr"):
        lr_range(experiment, low=1, high=2, steps=10)
