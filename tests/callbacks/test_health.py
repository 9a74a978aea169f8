"""Layers, activations and histograms: figures against those computed otherwise, and runs that stay what they were."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_configs import config
from torch import Tensor, nn

from dlkit import probe
from dlkit.build import Experiment, build
from dlkit.callbacks.base import Callback
from dlkit.callbacks.panels import histograms, panel
from dlkit.callbacks.panels.histograms import Histograms
from dlkit.callbacks.panels.layers import Layers
from dlkit.callbacks.panels.panel import Board
from dlkit.stacked.fit import Member
from dlkit.stacked.fit import fit as fit_together
from dlkit.state import State
from dlkit.trainer import fit

GPU = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
PANELS = {"layers": "Layers", "activations": "Activations", "histograms": "Histograms"}
ADDED = [f"+callbacks.{name}._target_=dlkit.callbacks.panels.{name}.{kind}" for name, kind in PANELS.items()]
BOARD = "+callbacks.tensorboard._target_=dlkit.callbacks.tensorboard.TensorBoard"
ADVICE = "+callbacks.advice._target_=dlkit.callbacks.advice.Advice"
CLIP = "+callbacks.clip={_target_:dlkit.callbacks.grad_clip.GradClip,max_norm:0.1}"
pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels draw at every occasion."""
    monkeypatch.setattr(panel.Allowance, "grants", lambda allowance, state: True)


def trained(place: Path, *words: str, more: list[Callback] | None = None) -> Experiment:
    place.mkdir(exist_ok=True)
    run = build(config(*words), place)
    every = {"eval_every": run.trainer.eval_every or run.data.steps_per_epoch, "log_every": run.trainer.log_every}
    fit(run.state, run.engine, run.data, run.schedule, [*run.callbacks, *(more or [])], **every)
    return run


def read(place: Path) -> EventAccumulator:
    events = EventAccumulator(str(place), size_guidance={"scalars": 0, "histograms": 0})
    events.Reload()
    return events


class Watch(Callback):
    """Norms by layer at every step: of the gradient, of the weights before the update and of the update."""

    def __init__(self) -> None:
        self.gradient: dict[int, list[float]] = {}
        self.ratio: dict[int, list[float]] = {}

    def on_grad(self, state: State) -> None:
        self.before = [self._vector(layer.parameters()) for layer in self._layers(state)]

    def on_step(self, state: State) -> None:
        grads = [self._vector(p.grad for p in layer.parameters()) for layer in self._layers(state)]
        self.gradient[state.step] = [g.norm().item() for g in grads]
        self.ratio[state.step] = [
            state.lr * (g.norm() / w.norm()).item() for g, w in zip(grads, self.before, strict=True)
        ]

    def _layers(self, state: State) -> list[nn.Linear]:
        return [module for module in state.model.modules() if isinstance(module, nn.Linear)]

    def _vector(self, tensors: Any) -> Tensor:
        return torch.cat([t.detach().flatten() for t in tensors])


def test_gradient_norms_and_update_ratios_are_those_of_plain_descent(tmp_path: Path, always: None) -> None:
    """Of w ← w − ηg the ratio is η‖g‖/‖w‖; it is measured in the step after a log."""
    words = ("data=iris", "model=mlp", "optim=sgd", "optim.lr=0.1", "trainer.max_steps=9", "trainer.log_every=2")
    watch = Watch()
    trained(tmp_path, *words, "callbacks=minimal", BOARD, *ADDED, more=[watch])
    events = read(tmp_path)
    for i, name in enumerate(("1.Linear", "3.Linear", "5.Linear")):
        gradient = {e.step: e.value for e in events.Scalars(f"within/gradient_norm/{name}")}
        ratio = {e.step: e.value for e in events.Scalars(f"within/update_ratio/{name}")}
        logs = sorted({step for step in range(1, 10) if step % 2 == 0 or step % 3 == 0 or step == 9})
        assert set(gradient) <= set(logs) and {2, 4, 6, 8, 9} <= set(gradient)
        assert set(ratio) == {step + 1 for step in gradient if step < 9}
        assert gradient == pytest.approx({step: watch.gradient[step][i] for step in gradient}, rel=1e-5)
        assert ratio == pytest.approx({step: watch.ratio[step][i] for step in ratio}, rel=1e-3)


def test_activations_are_drawn_with_the_share_of_dead_units(tmp_path: Path, always: None) -> None:
    class Kill(Callback):
        def on_start(self, state: State) -> None:
            layer = next(module for module in state.model.modules() if isinstance(module, nn.Linear))
            with torch.no_grad():
                layer.weight[:64], layer.bias[:64] = 0, -1

    run = trained(tmp_path, "data=digits", "trainer.max_steps=2", "callbacks=minimal", BOARD, *ADDED, more=[Kill()])
    events = read(tmp_path)
    assert 64 / 256 <= events.Scalars("within/dead/2.ReLU")[-1].value < 0.4
    out = run.state.model[:3](probe.examples(run.state).x)  # type: ignore[index]
    assert events.Scalars("within/activation_mean/2.ReLU")[-1].value == pytest.approx(out.mean().item(), rel=1e-5)
    assert events.Scalars("within/activation_std/2.ReLU")[-1].value == pytest.approx(
        out.std(correction=0).item(), rel=1e-4
    )


def test_histograms_are_numpys(tmp_path: Path, always: None) -> None:
    run = trained(tmp_path, "data=digits", "trainer.max_steps=2", "callbacks=minimal", BOARD, *ADDED)
    events = read(tmp_path)
    for name, p in run.state.model.named_parameters():
        assert p.grad is not None
        for tag, tensor in ((f"within/weights/{name}", p.detach()), (f"within/gradients/{name}", p.grad)):
            found = events.Histograms(tag)[-1].histogram_value
            counts, limits = np.histogram(tensor.numpy(), bins=64)
            assert np.abs(np.array(found.bucket) - counts).sum() <= 0.01 * tensor.numel() + 2, "values at a bin's edge"
            np.testing.assert_allclose(found.bucket_limit, limits[1:], rtol=1e-4, atol=1e-7)
            assert (found.min, found.max) == (tensor.min().item(), tensor.max().item())
            assert found.num == tensor.numel() == sum(found.bucket)
            assert found.sum == pytest.approx(tensor.sum().item(), rel=1e-3, abs=1e-4)
            assert found.sum_squares == pytest.approx(tensor.square().sum().item(), rel=1e-4)


def test_a_large_tensor_is_counted_by_values_from_all_its_columns() -> None:
    tensor = torch.zeros(2048, 768)
    tensor[:, ::2] = 1.0
    low, high, count, total, _, *counts = histograms._histogram(tensor).tolist()
    assert (low, high) == (0, 1) and 0.9 * 2**15 < count <= 2**16
    assert counts[0] + counts[-1] == count and total / count == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan"), float("inf")])
def test_equal_or_unusable_values_draw_no_nonsense(value: float, tmp_path: Path) -> None:
    class Writer:
        def __init__(self) -> None:
            self.drawn: list[Any] = []

        def add_histogram_raw(self, *what: Any) -> None:
            self.drawn.append(what)

    model = nn.Linear(2, 2, bias=False)
    model.weight.data.fill_(value)
    state = State(model, torch.optim.SGD(model.parameters()), None, tmp_path, 1, 1, 1)  # type: ignore[arg-type]
    writer = Writer()
    Histograms().draw(state, Board(writer))
    if not np.isfinite(value):
        assert not writer.drawn
        return
    (drawn,) = writer.drawn
    assert drawn[0] == "within/weights/weight" and drawn[1:4] == (value, value, 4)
    limits, counts = drawn[6], drawn[7]
    assert sum(counts) == 4 and counts[0] == 4 and limits == sorted(limits) and limits[0] > value


RUNS = {
    "mlp": ("data=digits", "model=mlp", "model.dropout=0.3", "model.batch_norm=true"),
    "cnn": ("data=digits", "model=cnn", "model.dropout=0.3", "data.augment.shift=0.1", "trainer.ema=0.9"),
    "texts": ("data=cldr_names", "model=lstm_text", "model.units=8"),
    "recordings": ("data=vowels", "model=lstm_speech", "model.units=8"),
    "clipped": ("data=iris", "model=mlp", "regularizer=l1", CLIP),
    "regression": ("data=diabetes", "model=ridge"),
}


@pytest.mark.parametrize(
    ("name", "device"),
    [
        *(pytest.param(name, "cpu", marks=[pytest.mark.slow] * (name == "recordings")) for name in RUNS),
        *(pytest.param(name, "cuda", marks=GPU) for name in RUNS),
    ],
)
def test_a_watched_run_is_bitwise_the_unwatched_one(name: str, device: str, tmp_path: Path, always: None) -> None:
    words = (*RUNS[name], "callbacks=minimal", "trainer.max_steps=6", "trainer.log_every=2", "trainer.eval_every=3")
    words = (*words, f"trainer.device={device}", f"trainer.deterministic={str(device == 'cuda').lower()}")
    plain = trained(tmp_path / "plain", *words)
    numbers = torch.get_rng_state()
    watched = trained(tmp_path / "watched", *words, BOARD, *ADDED, ADVICE)
    assert torch.equal(torch.get_rng_state(), numbers)
    ours, theirs = (run.state.model.state_dict() for run in (watched, plain))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    lines = [(tmp_path / place / "metrics.jsonl").read_text().splitlines() for place in ("plain", "watched")]
    assert len(lines[0]) == len(lines[1]) >= 4
    events = read(tmp_path / "watched")
    tags = events.Tags()
    assert {tag.split("/")[1] for tag in tags["histograms"]} == {"weights", "gradients"}
    drawn = {tag.split("/")[1] for tag in tags["scalars"] if tag.startswith("within/")}
    assert {"gradient_norm", "update_ratio", "activation_mean", "activation_std"} <= drawn


def test_runs_trained_as_one_model_draw_what_they_have_and_stay_the_same(tmp_path: Path, always: None) -> None:
    words = ("data=digits", "model.hidden=[8]", "callbacks=minimal", "trainer.max_steps=6", "trainer.log_every=2")
    weights = {}
    for name, more in (("plain", []), ("watched", [BOARD, *ADDED, ADVICE])):
        runs = [build(config(*words, *more, f"optim.lr={lr}"), tmp_path / f"{name}{lr}") for lr in (0.01, 0.1)]
        for run in runs:
            run.state.folder.mkdir()
        members = [Member(run) for run in runs]
        with ExitStack() as running:
            for member in members:
                running.enter_context(member.course.running())
            fit_together(members, lambda members, stack, errors: None)
        weights[name] = [p for run in runs for p in run.state.model.parameters()]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights["watched"], weights["plain"], strict=True))
    tags = read(tmp_path / "watched0.1").Tags()
    assert {"within/update_ratio/1.Linear", "within/activation_std/2.ReLU", "within/dead/2.ReLU"} <= set(
        tags["scalars"]
    )
    assert "within/gradient_norm/1.Linear" not in tags["scalars"] and "within/weights/1.weight" in tags["histograms"]


def test_steps_between_two_looks_copy_nothing(tmp_path: Path) -> None:
    layers = Layers()
    layers.on_step(None)  # type: ignore[arg-type]  # it does not even look at the state
    assert layers.before == {}
