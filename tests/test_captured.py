"""Steps that are played: with a stand-in for the graph, which calls the function again, they are the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_engine import Drawn, make_engine, small, take
from torch import Tensor, nn

from dlkit import optim
from dlkit.callbacks.grad_clip import GradClip
from dlkit.captured import WARM_UP, CapturedEngine
from dlkit.ema import Ema
from dlkit.engine import Engine
from dlkit.models.cnn import cnn
from dlkit.regularizers import MaxNorm, l2
from dlkit.types import Batch, Spec

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
OPTIMS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda p: optim.sgd(p, lr=0.1),
    "momentum": lambda p: optim.momentum(p, lr=0.1),
    "adam": lambda p: optim.adam(p, lr=0.01),
    "adamw": lambda p: optim.adamw(p, lr=0.01),
    "muon": lambda p: optim.muon(p, lr=0.01),
}


def captured(engine: Engine, record: Any = lambda function: function) -> CapturedEngine:
    """An engine that plays the steps of this one's state."""
    options = {"device": engine.device, "dtype": engine.dtype, "accumulate": engine.accumulate}
    return CapturedEngine(
        engine.state,
        engine.loss,
        engine.metrics,
        [*engine.penalties, *engine.arounds],
        nan_guard=engine.nan_guard,
        record=record,
        **options,
    )


def steps(engine: Engine, batches: Iterable[Batch]) -> None:
    """As the loop: the rate falls, gradients are clipped between the two halves of a step."""
    clip = GradClip(max_norm=0.5)
    for batch in batches:
        for group in engine.state.optim.param_groups:
            group["lr"] = group["initial_lr"] * 0.9**engine.state.step
        engine.backward(batch)
        clip.on_grad(engine.state)
        engine.update()
        engine.state.step += 1


@pytest.mark.parametrize("name", OPTIMS)
def test_played_steps_end_with_the_weights_of_an_engine(tmp_path: Path, name: str) -> None:
    plain = make_engine(tmp_path, small(batch_norm=True), OPTIMS[name])
    played = captured(make_engine(tmp_path, small(batch_norm=True), OPTIMS[name]))
    for engine in (plain, played):
        steps(engine, take(Drawn(), 12))
    assert set(played.plays) == {"backward", "update"}
    for a, b in zip(plain.state.model.state_dict().values(), played.state.model.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert plain.read_log() == pytest.approx(played.read_log(), rel=1e-4)


def test_averages_regularisers_and_parts_of_a_batch_are_played_too(tmp_path: Path) -> None:
    ends = []
    for make in (lambda engine: engine, captured):
        options: dict[str, Any] = {"accumulate": 2, "nan_guard": False}
        engine = make_engine(tmp_path, small(), penalty=[l2(gamma=0.1), MaxNorm(bound=0.5)], **options)  # type: ignore[arg-type]
        ema = Ema(engine.state.model, 0.5)
        engine.state.parts["ema"] = ema
        steps(make(engine), take(Drawn(), 10))
        ends.append([*engine.state.model.parameters(), *ema.model.parameters()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_the_first_steps_are_made_as_usual_and_only_then_is_anything_recorded(tmp_path: Path) -> None:
    recorded: list[int] = []

    def record(function: Callable[[], None]) -> Callable[[], None]:
        recorded.append(engine.state.step)
        return function

    engine = captured(make_engine(tmp_path, small()), record)
    steps(engine, take(Drawn(), WARM_UP + 4))
    assert recorded == [WARM_UP, WARM_UP]


def test_what_is_played_reads_the_batch_the_rate_and_the_step_from_memory_that_stays(tmp_path: Path) -> None:
    engine = captured(make_engine(tmp_path, small()))
    steps(engine, take(Drawn(), WARM_UP + 1))
    assert engine.inputs is not None
    places = [t.data_ptr() for t in (*engine.inputs, *engine.rates, engine.step)]
    batches = take(Drawn(), WARM_UP + 6)[WARM_UP + 1 :]
    steps(engine, batches)
    assert [t.data_ptr() for t in (*engine.inputs, *engine.rates, engine.step)] == places
    assert torch.equal(engine.inputs.x, batches[-1].x)
    assert engine.rates[0].item() == pytest.approx(0.01 * 0.9 ** (WARM_UP + 5))
    assert engine.step == WARM_UP + 5
    assert isinstance(engine.state.optim.param_groups[0]["lr"], float)  # for the log and the checkpoint


def still(engine: CapturedEngine) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Records as a graph does: what a function made when it was recorded is written over by each play, and nothing else
    of Python's changes."""

    def results() -> list[Tensor]:
        assert engine.last is not None
        return [*(p.grad for p in engine.params if p.grad is not None), engine.batch_loss, *engine.last]

    def record(function: Callable[[], None]) -> Callable[[], None]:
        if "backward" in engine.plays:
            return function  # the update changes memory only
        function()
        held = results()

        def play() -> None:
            before = [p.grad for p in engine.params], engine.batch_loss, engine.last
            function()
            for own, new in zip(held, results(), strict=True):
                own.copy_(new.detach())
            gradients, engine.batch_loss, engine.last = before
            for p, gradient in zip(engine.params, gradients, strict=True):
                p.grad = gradient

        return play

    return record


def test_a_batch_of_another_shape_is_trained_step_by_step_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, played = make_engine(tmp_path, small()), captured(make_engine(tmp_path, small()))
    played.record = still(played)
    batches = take(Drawn(), 12)
    for k in (5, 8):
        batches[k] = Batch(batches[k].x[:3], batches[k].y[:3])
    with caplog.at_level("WARNING"):
        for engine in (plain, played):
            steps(engine, batches)
    for a, b in zip(plain.state.model.parameters(), played.state.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.stack(plain.state.losses), torch.stack(played.state.losses))
    assert plain.read_log() == pytest.approx(played.read_log(), rel=1e-4)
    assert len([record for record in caplog.records if "only batches of shape (8, 4)" in record.getMessage()]) == 1


def test_each_loss_is_kept_although_the_next_play_writes_over_it(tmp_path: Path) -> None:
    engine = captured(make_engine(tmp_path, small()))
    engine.record = still(engine)
    steps(engine, take(Drawn(), WARM_UP + 5))
    assert len({loss.item() for loss in engine.state.losses}) == WARM_UP + 5


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dtype": torch.float16}, "float16 decides on the CPU"),
        ({"make_optim": lambda p: optim.adagrad(p, lr=0.1)}, "Adagrad reads its rate on the CPU"),
        ({"data": Drawn(Spec("tokens", (4,), 3, "classification", vocab_size=9))}, "tokens are not captured"),
    ],
)
def test_what_no_graph_can_hold_is_refused(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    engine = make_engine(tmp_path, small(), **options)
    with pytest.raises(ValueError, match=rf"^trainer\.capture=true: .*{why}"):
        captured(engine)


def test_without_a_gpu_capturing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trainer\.capture=true: CUDA graphs need an NVIDIA GPU.*cpu"):
        captured(make_engine(tmp_path, small()), record=None)


@pytest.mark.cuda
@GPU
@pytest.mark.parametrize("name", [*OPTIMS, "rmsprop"])
def test_graphs_on_a_gpu_train_as_an_engine_does_and_wait_for_nothing(tmp_path: Path, name: str) -> None:
    device = torch.device("cuda")
    make = {**OPTIMS, "rmsprop": lambda p: optim.rmsprop(p, lr=0.01)}[name]
    batches = [Batch(x.to(device), y.to(device)) for x, y in take(Drawn(), 12)]
    batches[8] = Batch(batches[8].x[:3], batches[8].y[:3])  # is not played
    ends = []
    for wrap in (lambda engine: engine, lambda engine: captured(engine, None)):
        engine = wrap(make_engine(tmp_path, small(batch_norm=True).to(device), make, device=device))
        steps(engine, batches[: WARM_UP + 1])
        torch.cuda.set_sync_debug_mode("error")
        try:
            steps(engine, batches[WARM_UP + 1 :])
        finally:
            torch.cuda.set_sync_debug_mode("default")
        ends.append((engine.state.model, engine.read_log()))
    for a, b in zip(ends[0][0].parameters(), ends[1][0].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-2)


@pytest.mark.cuda
@GPU
def test_graphs_draw_new_dropout_at_every_play(tmp_path: Path) -> None:
    device = torch.device("cuda")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 3)).to(device)
    engine = captured(make_engine(tmp_path, model, lambda p: optim.sgd(p, lr=1e-9), device=device), None)
    (x, y) = take(Drawn(), 1)[0]
    steps(engine, [Batch(x.to(device), y.to(device))] * (WARM_UP + 8))
    assert len({round(loss.item(), 6) for loss in engine.state.losses}) == WARM_UP + 8


@pytest.mark.cuda
@GPU
def test_a_bad_batch_makes_played_steps_void_until_the_log(tmp_path: Path, image: Spec) -> None:
    from dlkit.guard import NonFinite

    device, data = torch.device("cuda"), Drawn(image)
    model = cnn(image, 3, channels=(4,), hidden=()).to(device)
    engine = captured(make_engine(tmp_path, model, data=data, device=device), None)
    batches = [Batch(x.to(device), y.to(device)) for x, y in take(data, 10)]
    batches[7] = Batch(batches[7].x * float("inf"), batches[7].y)
    steps(engine, batches[:7])
    good = [p.clone() for p in engine.state.model.parameters()]
    steps(engine, batches[7:])
    assert all(torch.equal(a, b) for a, b in zip(good, engine.state.model.parameters(), strict=True))
    with pytest.raises(NonFinite, match="step 8"):
        engine.check()
