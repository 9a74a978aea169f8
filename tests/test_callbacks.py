"""What watches and adjusts a run, one callback at a time."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from test_engine import Drawn, gradients, make_engine, small, take, train
from test_trainer import run

from dlkit.callbacks import progress, stopping
from dlkit.callbacks.base import Callback
from dlkit.callbacks.checkpoint import Checkpoint
from dlkit.callbacks.grad_clip import GradClip
from dlkit.callbacks.progress import ProgressBar
from dlkit.callbacks.record import Record
from dlkit.callbacks.stopping import EarlyStop, TimeLimit
from dlkit.callbacks.tensorboard import TensorBoard
from dlkit.ema import Ema
from dlkit.rundir import load
from dlkit.state import State

NAN = float("nan")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_engine(tmp_path, small(batch_norm=True)).state


def feed(callback: Callback, state: State, name: str, values: list[float]) -> State:
    """Evaluations with these values, at steps 1, 2, …, until one of them stops the run."""
    for value in values:
        state.step += 1
        callback.on_eval(state, {name: value})
        if state.stop:
            break
    return state


# Gradient clipping


@pytest.mark.parametrize("max_norm", [1e-3, 0.5, 1e6])
def test_clipping_is_torchs(tmp_path: Path, max_norm: float) -> None:
    ours, theirs = make_engine(tmp_path, small()), make_engine(tmp_path, small())
    for engine in (ours, theirs):
        engine.backward(Drawn().examples(8, 0))
    GradClip(max_norm=max_norm).on_grad(ours.state)
    torch.nn.utils.clip_grad_norm_(theirs.state.model.parameters(), max_norm)
    pairs = zip(gradients(ours.state.model), gradients(theirs.state.model), strict=True)
    assert all(torch.equal(clipped, expected) for clipped, expected in pairs)


def test_a_clipped_gradient_has_the_norm_asked_for_and_its_direction(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    engine.backward(Drawn().examples(8, 0))
    before = torch.cat([g.flatten() for g in gradients(engine.state.model)])
    GradClip(max_norm=0.01).on_grad(engine.state)
    after = torch.cat([g.flatten() for g in gradients(engine.state.model)])
    assert after.norm().item() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_clipping_is_off_by_default(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    engine.backward(Drawn().examples(8, 0))
    grads = gradients(engine.state.model)
    GradClip().on_grad(engine.state)
    assert all(
        torch.equal(p.grad, g)
        for p, g in zip(engine.state.model.parameters(), grads, strict=True)
        if p.grad is not None
    )


# Stopping


def test_a_loss_that_does_not_fall_for_patience_evaluations_ends_the_run(state: State) -> None:
    assert feed(EarlyStop(patience=2), state, "val/loss", [3, 2, 2.5, 1.9, 2, 2, 2, 2]).step == 6
    assert state.stop == "val/loss did not improve in 2 evaluations"


def test_an_accuracy_must_rise(state: State) -> None:
    stop = EarlyStop(patience=2, monitor="val/accuracy")
    assert feed(stop, state, "val/accuracy", [0.1, 0.2, 0.3, 0.2, 0.3, 0.9]).step == 5


def test_an_improvement_must_be_more_than_min_delta(state: State) -> None:
    assert feed(EarlyStop(patience=2, min_delta=0.5), state, "val/loss", [3, 2.6, 2.4, 1.95, 1.9, 0]).step == 5


@pytest.mark.parametrize("values", [[3, 2, 1, 0.5, 0.4], [3, 4, 3, 4, 2, 3, 4, 1]])
def test_a_loss_that_keeps_falling_in_time_does_not_end_the_run(state: State, values: list[float]) -> None:
    assert feed(EarlyStop(patience=4), state, "val/loss", values).stop == ""


def test_without_patience_nothing_ends_the_run(state: State) -> None:
    assert feed(EarlyStop(), state, "val/loss", [1.0] * 50).stop == ""


def test_a_first_figure_that_is_none_can_be_improved_on(state: State) -> None:
    assert feed(EarlyStop(patience=3), state, "val/loss", [NAN, 4, 3, 2, 1]).stop == ""


def test_waiting_goes_on_after_a_resume(state: State) -> None:
    first, second = EarlyStop(patience=3), EarlyStop(patience=3)
    feed(first, state, "val/loss", [1, 2, 2])
    second.load_state_dict(first.state_dict())
    assert feed(second, state, "val/loss", [2, 2]).step == 4


@pytest.mark.parametrize(
    ("callback", "key"),
    [(EarlyStop(patience=2, monitor="val/los"), "early_stop"), (Checkpoint(monitor="val/los"), "checkpoint")],
)
def test_an_unknown_figure_is_named_with_those_there_are_before_the_run(callback: Callback, key: str) -> None:
    with pytest.raises(ValueError, match=rf"callbacks\.{key}\.monitor=val/los: .*val/loss, val/accuracy"):
        callback.check(["val/loss", "val/accuracy"])


def test_figures_that_there_are_can_be_monitored() -> None:
    for callback in (EarlyStop(patience=2, monitor="val/accuracy"), Checkpoint(monitor="val/accuracy"), Record()):
        callback.check(["val/loss", "val/accuracy"])


def test_without_a_validation_split_patience_is_refused_and_the_last_weights_are_saved_all_the_same() -> None:
    with pytest.raises(ValueError, match="validation split"):
        EarlyStop(patience=2).check([])
    EarlyStop().check([])
    Checkpoint().check([])


def test_a_run_ends_when_its_minutes_are_over_and_the_minutes_before_a_resume_count(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(stopping, "monotonic", lambda: now[0])
    first, second = TimeLimit(minutes=2), TimeLimit(minutes=2)
    now[0] = 1000  # building takes its time
    first.on_start(state)
    now[0] += 70
    first.on_step(state)
    assert state.stop == ""
    second.load_state_dict(first.state_dict())
    now[0] += 5000  # until someone resumes it
    second.on_start(state)
    now[0] += 49
    second.on_step(state)
    assert state.stop == ""
    now[0] += 2
    second.on_step(state)
    assert state.stop == "the time limit of 2 minutes"


# Checkpoints


def checkpoints(state: State) -> Path:
    return state.folder / "checkpoints"


def test_last_is_the_end_and_best_the_least_loss(tmp_path: Path) -> None:
    class Losses(Callback):
        weights: dict[int, torch.Tensor] = {}  # noqa: RUF012

        def on_eval(self, state: State, figures: dict[str, float]) -> None:
            self.weights[state.step] = state.model[1].weight.detach().clone()  # type: ignore[index]
            figures["val/loss"] = {5: 3.0, 10: 1.0, 15: 2.0, 20: 1.0}[state.step]

    state = run(make_engine(tmp_path, small()), Drawn(), Losses(), Checkpoint()).state
    last, best = load(checkpoints(state) / "last.pt"), load(checkpoints(state) / "best.pt")
    assert state.best == {"metric": "val/loss", "value": 1.0, "step": 10}
    assert {key: best[key] for key in state.best} == last["best"] == state.best
    assert torch.equal(best["model"]["1.weight"], Losses.weights[10])
    assert torch.equal(last["model"]["1.weight"], Losses.weights[20])
    assert (last["step"], best["encoder"]) == (20, {"scale": torch.ones(1)})


@pytest.mark.parametrize(
    ("monitor", "mode", "step"),
    [
        ("val/accuracy", None, 2),
        ("val/accuracy", "min", 3),
        ("val/loss", None, 3),
        ("val/loss", "max", 2),
        ("val/r2", None, 2),
    ],
)
def test_best_is_the_most_of_accuracy_and_r2_and_the_least_of_the_rest_unless_told(
    state: State, monitor: str, mode: str | None, step: int
) -> None:
    feed(Checkpoint(monitor=monitor, mode=mode), state, monitor, [0.5, 0.9, 0.1, 0.9, 0.1])  # type: ignore[arg-type]
    assert state.best["step"] == step


def test_nan_is_never_best(state: State) -> None:
    feed(Checkpoint(), state, "val/loss", [NAN, 2.0, NAN, 3.0])
    assert state.best == {"metric": "val/loss", "value": 2.0, "step": 2}


def test_the_best_weights_are_those_of_their_step_though_written_later(state: State) -> None:
    checkpoint = Checkpoint()
    weight = state.model[1].weight  # type: ignore[index]
    feed(checkpoint, state, "val/loss", [1.0])
    expected = weight.detach().clone()
    weight.data.zero_()
    assert not checkpoints(state).exists()
    checkpoint.on_checkpoint(state)
    assert torch.equal(load(checkpoints(state) / "best.pt")["model"]["1.weight"], expected)
    assert not load(checkpoints(state) / "last.pt")["model"]["1.weight"].any()


def test_an_older_best_is_not_written_again(state: State) -> None:
    checkpoint = Checkpoint()
    feed(checkpoint, state, "val/loss", [1.0])
    checkpoint.on_checkpoint(state)
    written = (checkpoints(state) / "best.pt").stat().st_mtime_ns
    feed(checkpoint, state, "val/loss", [2.0])
    checkpoint.on_checkpoint(state)
    assert (checkpoints(state) / "best.pt").stat().st_mtime_ns == written
    assert load(checkpoints(state) / "last.pt")["step"] == 2


def test_a_best_before_a_resume_is_still_the_one_to_beat(state: State) -> None:
    state.best = {"metric": "val/loss", "value": 0.5, "step": 0}
    feed(Checkpoint(), state, "val/loss", [0.7])
    assert state.best["step"] == 0


def test_where_there_is_an_average_it_is_the_best(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small())
    ema = engine.state.parts["ema"] = Ema(engine.state.model, 0.9)
    train(engine, take(Drawn(), 5))
    checkpoint = Checkpoint()
    feed(checkpoint, engine.state, "val/loss", [1.0])
    checkpoint.on_checkpoint(engine.state)
    best = load(checkpoints(engine.state) / "best.pt")["model"]
    assert all(torch.equal(best[name], t) for name, t in ema.state_dict().items())
    assert not torch.equal(best["1.weight"], engine.state.model.state_dict()["1.weight"])


# Records


def test_a_line_is_written_for_every_log_and_every_evaluation(tmp_path: Path) -> None:
    state = run(make_engine(tmp_path, small()), Drawn(), Record(), eval_every=10, log_every=5).state
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], "val/loss" in line) for line in lines] == [
        *[(5, False), (10, False), (10, True)],
        *[(15, False), (20, False), (20, True)],
    ]
    assert [line["epoch"] for line in lines] == [1, 2, 2, 3, 4, 4]
    assert lines[-1]["val/accuracy"] == state.metrics["val/accuracy"]
    assert set(lines[0]) == {
        "step",
        "epoch",
        "seconds",
        "train/loss",
        "train/accuracy",
        "train/grad_norm",
        "lr",
        "samples_per_second",
    }
    assert lines[0]["lr"] == 0.01


def test_a_figure_that_is_not_finite_is_null_and_a_resumed_run_continues_the_file(state: State) -> None:
    for value in (NAN, 1.5):
        record = Record()
        record.on_start(state)
        record.on_eval(state, {"val/loss": value})
        record.on_checkpoint(state)
        lines = (state.folder / "metrics.jsonl").read_text().splitlines()  # there when the run is saved
        record.on_end(state)
    assert [json.loads(line)["val/loss"] for line in lines] == [None, 1.5]


def test_tensorboard_reads_back_every_figure_against_its_step(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard()
    state = run(make_engine(tmp_path, small()), Drawn(), Record(), board, eval_every=10, log_every=5).state
    board.on_result(state, {"status": "finished", "metrics": {"val/loss": 9.0, "test/accuracy": 0.75}})
    events = EventAccumulator(str(tmp_path)).Reload()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr", "samples_per_second"):
        expected = [(line["step"], pytest.approx(line[name])) for line in lines if name in line]
        assert [(event.step, event.value) for event in events.Scalars(name)] == expected
    assert [(event.step, event.value) for event in events.Scalars("test/accuracy")] == [(20, 0.75)]


def test_tensorboard_drops_what_an_interrupted_run_wrote_after_its_checkpoint(state: State) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for first in (0, 3):  # resumed at step 3
        board = TensorBoard()
        state.step = first
        board.on_start(state)
        for state.step in range(first + 1, 6):
            board.on_log(state, {"train/loss": 10.0 * first + state.step})
        board.on_result(state, {"status": "finished", "metrics": {}})
    events = EventAccumulator(str(state.folder)).Reload().Scalars("train/loss")
    assert [(event.step, event.value) for event in events] == [(1, 1), (2, 2), (3, 3), (4, 34), (5, 35)]


def test_tensorboard_hides_no_error_of_a_run_that_never_started(state: State) -> None:
    TensorBoard().on_result(state, {"status": "finished", "metrics": {}})


# Progress


def test_without_a_terminal_there_is_a_line_an_evaluation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dlkit"):
        run(make_engine(tmp_path, small()), Drawn(), ProgressBar(), eval_every=10, log_every=5)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[:4] for line in lines] == [["epoch", "2", "step", "10"], ["epoch", "4", "step", "20"]]
    assert all(name in lines[0] for name in ("train/loss", "val/loss", "val/accuracy", "lr 0.01"))


@pytest.mark.parametrize(("width", "cut"), [(140, 0), (80, 1)])
def test_on_a_terminal_a_bar_shows_step_loss_metric_rate_and_speed_as_far_as_there_is_room(
    state: State, monkeypatch: pytest.MonkeyPatch, width: int, cut: int
) -> None:
    from io import StringIO

    from rich.console import Console

    screen = StringIO()
    monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True, width=width, color_system=None))
    bar = ProgressBar()
    bar.on_start(state)
    state.step, state.metrics = 12, {"val/accuracy": 0.875}
    bar.on_log(state, {"train/loss": 0.25, "samples_per_second": 1234.0})
    bar.on_step(state)
    bar.on_end(state)
    text = screen.getvalue()
    parts = ["12/20", "━━━━", "loss 0.2500", "val/accuracy 0.8750", "lr 0.01", "1,234 samples/s"]
    assert [part for part in parts if part not in text] == parts[len(parts) - cut :]
