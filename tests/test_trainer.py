"""The loop: against one written out, its order of events, its clock and its ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_engine import Drawn, assert_same, make_engine, small, take

from dlkit import trainer
from dlkit.callbacks.base import Callback
from dlkit.engine import Engine
from dlkit.guard import Guard, NonFinite
from dlkit.models.mlp import mlp
from dlkit.optim import adam, momentum
from dlkit.schedules import constant, cosine, with_warmup
from dlkit.state import State
from dlkit.trainer import evaluate, fit
from dlkit.types import Batch, Schedule, Spec

EVENTS = ("on_start", "on_grad", "on_step", "on_log", "on_eval", "on_checkpoint", "on_end")


class Events(Callback):
    """Remembers every event with its step; calls `at[event, step]` where there is one."""

    def __init__(self, at: dict[tuple[str, int], Any] | None = None):
        self.seen: list[tuple[str, int]] = []
        self.figures: list[dict[str, float]] = []
        self.at = at or {}

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__("_event")(name) if name in EVENTS else super().__getattribute__(name)

    def _event(self, name: str) -> Any:
        def happen(state: State, figures: dict[str, float] | None = None) -> None:
            self.seen.append((name, state.step))
            if figures is not None:
                self.figures.append({"step": state.step, **figures})
            if action := self.at.get((name, state.step)):
                action(state)

        return happen

    def at_step(self, step: int) -> list[str]:
        return [name for name, when in self.seen if when == step and name not in ("on_grad", "on_start", "on_end")]


def run(engine: Engine, data: Drawn, *callbacks: Callback, schedule: Schedule | None = None, **options: Any) -> Engine:
    every = {"eval_every": 5, "log_every": 5} | options
    fit(engine.state, engine, data, schedule or constant(engine.state.total_steps), callbacks, **every)
    return engine


def stop(state: State) -> None:
    state.stop = "enough"


def interrupt(state: State) -> None:
    state.signal, state.stop = 2, "SIGINT"


def test_fit_is_bitwise_a_loop_written_out(tmp_path: Path) -> None:
    data, rates = Drawn(), with_warmup(cosine(23), 23, warmup_steps=4)
    engine = make_engine(tmp_path, small(batch_norm=True), lambda p: momentum(p, lr=0.1), total_steps=23)
    run(engine, data, schedule=rates)

    plain = small(batch_norm=True)
    optim = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, fused=True)
    for step, (x, y) in enumerate(take(data, 23)):
        optim.param_groups[0]["lr"] = 0.1 * rates(step)
        optim.zero_grad()
        F.cross_entropy(plain(x), y).backward()
        optim.step()
    assert_same(engine.state.model, plain)
    assert (engine.state.step, engine.state.status) == (23, "finished")


def test_events_come_in_order_and_the_checkpoint_last_at_a_step(tmp_path: Path) -> None:
    events = Events()
    run(make_engine(tmp_path, small(), total_steps=4), Drawn(), events, eval_every=3, log_every=2, save_every=0)
    assert events.seen == [
        ("on_start", 0),
        *[("on_grad", 0), ("on_step", 1), ("on_checkpoint", 1)],
        *[("on_grad", 1), ("on_step", 2), ("on_log", 2), ("on_checkpoint", 2)],
        *[("on_grad", 2), ("on_step", 3), ("on_log", 3), ("on_eval", 3), ("on_checkpoint", 3)],
        *[("on_grad", 3), ("on_step", 4), ("on_log", 4), ("on_eval", 4), ("on_checkpoint", 4)],
        ("on_end", 4),
    ]


def test_without_a_bound_in_seconds_only_the_end_is_saved(tmp_path: Path) -> None:
    events = Events()
    run(make_engine(tmp_path, small(), total_steps=7), Drawn(), events)
    assert [step for name, step in events.seen if name == "on_checkpoint"] == [7]


def test_callbacks_are_called_in_the_order_listed(tmp_path: Path) -> None:
    order: list[str] = []
    first = Events({("on_step", 1): lambda state: order.append("first")})
    second = Events({("on_step", 1): lambda state: order.append("second")})
    run(make_engine(tmp_path, small(), total_steps=2), Drawn(), first, second)
    assert order == ["first", "second"]


def test_the_log_has_the_loss_the_metric_the_rate_and_the_speed(tmp_path: Path) -> None:
    events = Events()
    run(make_engine(tmp_path, small(), total_steps=5), Drawn(), events, schedule=cosine(5))
    log, evaluation = events.figures
    assert list(log) == ["step", "train/loss", "train/accuracy", "train/grad_norm", "lr", "samples_per_second"]
    assert log["lr"] == pytest.approx(0.01 * cosine(5)(4))
    assert list(evaluation) == ["step", "val/loss", "val/accuracy"]


def test_an_evaluation_is_exact_over_ragged_batches(tmp_path: Path) -> None:
    data, engine = Drawn(val=20), make_engine(tmp_path, small())  # in parts of 7, 7 and 6
    x, y = data.examples(20, 2)
    out = small()(x)
    figures = evaluate(engine, engine.state.eval_model, data.eval("val"), "val")
    assert figures["val/loss"] == pytest.approx(F.cross_entropy(out, y).item(), rel=1e-6)
    assert figures["val/accuracy"] == pytest.approx((out.argmax(1) == y).float().mean().item())
    assert evaluate(engine, engine.state.eval_model, [Batch(x, y)], "val") == pytest.approx(figures, rel=1e-6)


def test_an_evaluation_of_a_regression_is_that_of_scikit_learn(tmp_path: Path, regression: Spec) -> None:
    from sklearn.metrics import r2_score

    data = Drawn(regression)
    model = mlp(regression, 2, hidden=())
    engine = make_engine(tmp_path, model, data=data)
    x, y = data.examples(20, 2)
    r2 = r2_score(y.numpy(), model(x).detach().numpy())
    assert evaluate(engine, engine.state.eval_model, data.eval("val"), "val")["val/r2"] == pytest.approx(r2, abs=1e-5)


def test_an_evaluation_turns_dropout_off_and_changes_no_statistics(tmp_path: Path) -> None:
    data, engine = Drawn(), make_engine(tmp_path, small(dropout=0.5, batch_norm=True))
    first = evaluate(engine, engine.state.eval_model, data.eval("val"), "val")
    assert evaluate(engine, engine.state.eval_model, data.eval("val"), "val") == first
    assert not engine.state.model.training
    assert_same(engine.state.model, small(dropout=0.5, batch_norm=True))


def test_training_goes_on_with_dropout_after_an_evaluation(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(dropout=0.5), total_steps=4)
    modes: list[bool] = []
    engine.state.model.register_forward_hook(lambda model, inputs, out: modes.append(model.training))
    run(engine, Drawn(), eval_every=2)
    assert modes == [True, True, *[False] * 3, True, True, *[False] * 3]


def test_evaluating_and_logging_more_often_changes_no_weight(tmp_path: Path) -> None:
    ends = []
    for every in (12, 1):
        torch.manual_seed(7)
        engine = make_engine(tmp_path, small(dropout=0.3), total_steps=12)
        ends.append(run(engine, Drawn(), eval_every=every, log_every=every).state.model)
    assert_same(*ends)


@pytest.mark.parametrize("event", ["on_grad", "on_step"])
def test_a_stop_set_by_a_callback_ends_with_a_log_and_one_more_evaluation(tmp_path: Path, event: str) -> None:
    events = Events({(event, 6 if event == "on_grad" else 7): stop})
    state = run(make_engine(tmp_path, small()), Drawn(), events).state
    assert (state.step, state.status, state.stop) == (7, "stopped", "enough")
    assert events.at_step(7) == ["on_step", "on_log", "on_eval", "on_checkpoint"]


def test_a_stop_set_at_a_log_ends_with_one_more_evaluation(tmp_path: Path) -> None:
    events = Events({("on_log", 5): stop})
    run(make_engine(tmp_path, small()), Drawn(), events, eval_every=20)
    assert events.at_step(5) == ["on_step", "on_log", "on_eval", "on_checkpoint"]


def test_a_stop_set_at_an_evaluation_ends_without_a_second_one(tmp_path: Path) -> None:
    events = Events({("on_eval", 5): stop})
    state = run(make_engine(tmp_path, small()), Drawn(), events).state
    assert (state.step, state.status) == (5, "stopped")
    assert events.at_step(5) == ["on_step", "on_log", "on_eval", "on_checkpoint"]


def test_losses_since_the_last_log_are_not_lost_where_an_evaluation_ends_the_run(tmp_path: Path) -> None:
    events = Events({("on_eval", 7): stop})
    state = run(make_engine(tmp_path, small()), Drawn(), events, eval_every=7).state
    assert state.losses == []


def test_a_signal_ends_at_once_without_an_evaluation_but_with_a_checkpoint(tmp_path: Path) -> None:
    events = Events({("on_step", 7): interrupt})
    state = run(make_engine(tmp_path, small()), Drawn(), events).state
    assert (state.step, state.status) == (7, "interrupted")
    assert events.at_step(7) == ["on_step", "on_checkpoint"]
    assert len(state.losses) == 2  # kept for the log of the resumed run


def test_an_error_passes_through_as_a_failed_run_after_on_end(tmp_path: Path) -> None:
    def fail(state: State) -> None:
        raise RuntimeError("user code")

    events, engine = Events({("on_step", 3): fail}), make_engine(tmp_path, small())
    with pytest.raises(RuntimeError, match="user code"):
        run(engine, Drawn(), events)
    assert engine.state.status == "failed"
    assert events.seen[-1] == ("on_end", 3)


def test_data_without_a_validation_split_trains_without_evaluations(tmp_path: Path) -> None:
    events = Events()
    data = Drawn(val=0)
    state = run(make_engine(tmp_path, small(), data=data), data, events).state
    assert (state.status, state.metrics) == ("finished", {})
    assert "on_eval" not in dict(events.seen)


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    engine = run(make_engine(tmp_path, small(), total_steps=5), Drawn())
    events = Events()
    run(engine, Drawn(), events)
    assert events.seen == [("on_start", 5), ("on_end", 5)]


class Slow(Drawn):
    """A batch takes 2 s to come and an evaluation 100 s, by the clock on the wall of the test."""

    now = 0.0

    def train(self, step: int) -> Iterator[Batch]:
        for batch in super().train(step):
            self.now += 2
            yield batch

    def eval(self, split: str) -> Iterator[Batch]:
        self.now += 100
        return super().eval(split)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    data = Slow()
    monkeypatch.setattr(trainer, "perf_counter", lambda: data.now)
    return data


@pytest.mark.parametrize(("eval_every", "log_every"), [(5, 5), (3, 4), (1, 20), (20, 1)])
def test_seconds_and_samples_per_second_leave_evaluations_out(
    tmp_path: Path, slow: Slow, eval_every: int, log_every: int
) -> None:
    events = Events()
    state = run(make_engine(tmp_path, small()), slow, events, eval_every=eval_every, log_every=log_every).state
    assert state.seconds == 20 * 2
    rates = [figures["samples_per_second"] for figures in events.figures if "samples_per_second" in figures]
    assert rates == [slow.batch_size / 2] * len(rates)
    assert len(rates) == len([step for step in range(1, 21) if step % log_every == 0 or step % eval_every == 0])


def test_saving_comes_every_so_many_seconds_and_its_time_is_left_out(tmp_path: Path, slow: Slow) -> None:
    class Saves(Callback):
        steps: list[int] = []  # noqa: RUF012

        def on_checkpoint(self, state: State) -> None:
            self.steps.append(state.step)
            slow.now += 50

    state = run(make_engine(tmp_path, small()), slow, Saves(), eval_every=20, log_every=20, save_every=15).state
    assert Saves.steps == [8, 16, 20]  # a step takes 2 s
    assert state.seconds == 20 * 2


@pytest.mark.parametrize(
    "event",
    ["interrupted", "failed"],
)
def test_the_seconds_of_a_run_that_breaks_off_are_all_counted(tmp_path: Path, slow: Slow, event: str) -> None:
    def break_off(state: State) -> None:
        interrupt(state)
        if event == "failed":
            raise NonFinite(state.step, "the loss")

    engine = make_engine(tmp_path, small())
    with suppress(NonFinite):
        run(engine, slow, Events({("on_step", 7): break_off}), eval_every=20)
    assert (engine.state.status, engine.state.seconds) == (event, 7 * 2)


def test_what_is_not_finite_sets_the_clock_back_to_the_last_good_step_and_is_saved_there(tmp_path: Path) -> None:
    data, events = Bad(), Events()
    engine = make_engine(tmp_path, small(), data=data)
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=True)  # found at the log, at step 5
    with pytest.raises(NonFinite):
        run(engine, data, events)
    assert (engine.state.step, engine.state.status) == (3, "failed")
    assert events.seen[-3:] == [("on_step", 5), ("on_checkpoint", 3), ("on_end", 3)]


@pytest.mark.parametrize("deferred", [False, True])
def test_a_loss_that_is_not_finite_is_not_saved(tmp_path: Path, deferred: bool) -> None:
    data = Bad()
    engine = make_engine(tmp_path, small(), data=data)
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=deferred)
    with pytest.raises(NonFinite):
        run(engine, data)
    assert len(engine.state.losses) == 3


@pytest.mark.parametrize("event", ["on_eval", "on_checkpoint"])
def test_a_deferred_guard_looks_before_an_evaluation_and_before_a_save(tmp_path: Path, event: str) -> None:
    data, events = Bad(), Events()
    engine = make_engine(tmp_path, small(batch_norm=True), data=data)
    engine.guard = Guard(engine.state.model, engine.state.optim, deferred=True)
    grid = {"eval_every": 5 if event == "on_eval" else 20, "save_every": 0 if event == "on_checkpoint" else 1e9}
    with pytest.raises(NonFinite):
        run(engine, data, events, log_every=20, **grid)
    assert [step for name, step in events.seen if name == event and step > 3] == []


class Bad(Drawn):
    """Batch 3 holds a number that is none."""

    def train(self, step: int) -> Iterator[Batch]:
        for k, batch in enumerate(super().train(step), start=step):
            if k == 3:
                batch.x[0, 0] = float("nan")
            yield batch


class Few(Drawn):
    """The same 64 examples with random classes in every batch."""

    def train(self, step: int) -> Iterator[Batch]:
        x, y = torch.randn(64, 4), torch.randint(3, (64,))
        while True:
            yield Batch(x, y)

    def eval(self, split: str) -> Iterator[Batch]:
        torch.manual_seed(0)
        yield next(self.train(0))


def test_a_small_network_overfits_64_examples_with_random_classes(tmp_path: Path) -> None:
    data = Few(batch_size=64)
    model = mlp(data.spec, 3, hidden=(128, 128))
    engine = make_engine(tmp_path, model, lambda p: adam(p, lr=0.02), data=data, total_steps=120)
    torch.manual_seed(0)
    state = run(engine, data, eval_every=120, log_every=120).state
    assert state.metrics["val/accuracy"] == 1
    assert state.metrics["val/loss"] < 0.05
