"""What ends a run early, lowers its rate, or reports how large outputs are: in small nets and from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_callbacks import NAN, feed
from test_engine import Drawn, make_engine, small
from test_trainer import run

from dlkit.callbacks.base import Callback
from dlkit.callbacks.output_std import OutputStd
from dlkit.callbacks.plateau import Plateau
from dlkit.callbacks.record import Record
from dlkit.callbacks.stopping import EarlyStop, Stop
from dlkit.library import train
from dlkit.optim import sgd
from dlkit.state import State

FIGURES = ["val/loss", "val/accuracy"]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_engine(tmp_path, small()).state


def log(callback: Callback, state: State, **figures: float) -> str:
    state.step += 1
    callback.on_log(state, {f"train/{name}": value for name, value in figures.items()})
    return state.stop


# The gradient's norm


def test_a_gradient_below_the_threshold_ends_the_run(state: State) -> None:
    stop = Stop(grad_norm=0.1)
    assert log(stop, state, grad_norm=0.1, loss=1) == ""
    assert log(stop, state, grad_norm=0.09, loss=1) == "the gradient's norm 0.09 is below 0.1"


def test_a_run_stops_where_its_gradient_vanishes(tmp_path: Path) -> None:
    stop = Stop(grad_norm=1e-3)
    data = Drawn()
    data.train = lambda step: iter(lambda: data.examples(8, 0), None)  # type: ignore[method-assign, assignment]
    engine = make_engine(tmp_path, small(), total_steps=2000)
    run(engine, data, stop, log_every=10, eval_every=999)
    assert engine.state.status == "stopped"
    assert engine.state.step < 2000
    assert float(torch.nn.utils.get_total_norm([p.grad for p in engine.params if p.grad is not None])) < 1e-3


# The change of the weights


def test_the_change_of_the_weights_is_measured_from_log_to_log(state: State) -> None:
    stop = Stop(weight_change=0.01)
    weights = list(state.model.parameters())
    stop.on_start(state)
    for factor, over in ((1.5, False), (1.02, False), (1.005, True)):
        for p in weights:
            p.data.mul_(factor)
        assert bool(log(stop, state, loss=1)) is over
    assert state.stop.startswith("the weights changed by 0.00498 of their norm since the last log, less than 0.01")


def test_the_last_log_which_may_follow_at_once_is_not_taken_for_rest(state: State) -> None:
    stop = Stop(weight_change=0.01)
    stop.on_start(state)
    state.step = state.total_steps - 1
    assert log(stop, state, loss=1) == ""


def test_a_run_with_a_tiny_rate_ends_at_its_first_log(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, small(), lambda p: sgd(p, lr=1e-9))
    run(engine, Drawn(), Stop(weight_change=1e-6), log_every=5)
    assert (engine.state.step, engine.state.status) == (5, "stopped")


def test_the_weights_of_the_last_log_survive_a_resume(state: State) -> None:
    first, second = Stop(weight_change=0.01), Stop(weight_change=0.01)
    first.on_start(state)
    before = [p.detach().clone() for p in state.model.parameters()]
    for p in state.model.parameters():
        p.data.mul_(2)
    second.load_state_dict(first.state_dict())
    second.on_start(state)
    assert all(torch.equal(a, b) for a, b in zip(second.before, before, strict=True))


# A target


def test_a_loss_must_fall_to_its_target_and_an_accuracy_rise(state: State) -> None:
    stop = Stop(target=0.5)
    assert log(stop, state, loss=0.51) == ""
    assert log(stop, state, loss=0.5) == "train/loss 0.5 has reached 0.5"
    state.stop = ""
    stop = Stop(target=0.9, monitor="val/accuracy")
    feed(stop, state, "val/accuracy", [0.5, 0.89, 0.95, 0.5])
    assert state.stop == "val/accuracy 0.95 has reached 0.9"


def test_a_figure_that_is_none_reaches_no_target(state: State) -> None:
    assert log(Stop(target=0.5), state, loss=NAN) == ""


def test_without_numbers_nothing_ends_the_run_and_no_weights_are_kept(state: State) -> None:
    stop = Stop()
    stop.on_start(state)
    assert log(stop, state, loss=0, grad_norm=0) == ""
    assert stop.before == []


@pytest.mark.parametrize("callback", [Stop(target=1, monitor="val/f2"), EarlyStop(patience=1, monitor="train/f2"),
                                      Plateau(patience=1, monitor="f2")])  # fmt: skip
def test_an_unknown_figure_is_named_with_those_there_are(callback: Callback) -> None:
    with pytest.raises(ValueError, match=r"callbacks\.\w+\.monitor=.*f2: no such figure; there are val/loss, val/accu"):
        callback.check(FIGURES)


def test_figures_of_training_can_be_monitored_also_without_a_validation_split() -> None:
    for callback in (
        Stop(target=1),
        EarlyStop(patience=1, monitor="train/loss"),
        Plateau(patience=1, monitor="train/loss"),
    ):
        callback.check([])
    EarlyStop(patience=1, monitor="train/accuracy").check(FIGURES)


def test_patience_with_a_figure_of_training_counts_logs(state: State) -> None:
    stop = EarlyStop(patience=2, monitor="train/loss")
    for loss in (3, 2, 2.5):
        assert log(stop, state, loss=loss) == ""
        feed(stop, state, "val/loss", [1.0])
    assert log(stop, state, loss=2.5) == "train/loss did not improve in 2 logs"


# The plateau rule


def rates(state: State) -> list[float]:
    return [group["initial_lr"] for group in state.optim.param_groups]


def test_the_base_rate_falls_by_its_factor_after_so_many_evaluations_without_improvement(state: State) -> None:
    plateau, seen = Plateau(patience=2, factor=0.5), []
    for value in (3, 2, 2, 2, 2, 2, 1, 1, 1):
        feed(plateau, state, "val/loss", [value])
        seen.append(rates(state)[0] / 0.01)
    assert seen == pytest.approx([1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])


def test_the_plateau_rule_is_torchs_whose_patience_is_one_less(state: State) -> None:
    losses = [*torch.rand(60, generator=torch.Generator().manual_seed(1)).add(torch.linspace(2, 0, 60)).tolist()]
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optim, factor=0.5, patience=2, threshold=0.1, threshold_mode="abs", min_lr=0.001, eps=0
    )
    plateau = Plateau(patience=3, factor=0.5, min_delta=0.1, floor=0.1)
    for loss in losses:
        torchs.step(loss)
        feed(plateau, state, "val/loss", [loss])
        assert rates(state)[0] == pytest.approx(optim.param_groups[0]["lr"])
    assert rates(state)[0] == pytest.approx(0.001)


def test_the_schedule_goes_on_from_the_lower_base(tmp_path: Path) -> None:
    class Flat(Callback):
        seen: list[float] = []  # noqa: RUF012

        def on_eval(self, state: State, figures: dict[str, float]) -> None:
            figures["val/loss"] = 1.0

        def on_grad(self, state: State) -> None:
            self.seen.append(state.lr)

    run(make_engine(tmp_path, small()), Drawn(), Flat(), Plateau(patience=1), schedule=lambda t: 1 - t / 20)
    before = [0.01 * (1 - t / 20) for t in range(20)]
    expected = [rate * (1 if t < 10 else 0.1 if t < 15 else 0.01) for t, rate in enumerate(before)]
    assert Flat.seen == pytest.approx(expected)


def test_what_a_plateau_took_from_the_rate_a_resume_takes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data=iris", "callbacks.plateau.patience=1", "callbacks.plateau.min_delta=9", "callbacks.tensorboard=null",
             "trainer.log_every=1", "callbacks.plateau.factor=0.5"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    whole = train([*words, "trainer.epochs=4", "run_dir=whole"])
    train([*words, "trainer.epochs=2", "run_dir=parts"])
    parts = train(["resume=parts", "trainer.epochs=4"])
    assert parts.result["metrics"] == whole.result["metrics"]
    found = [[row["lr"] for row in one.metrics if "lr" in row] for one in (whole, parts)]
    assert found[0] == found[1]
    assert sorted(set(found[0]), reverse=True) == pytest.approx([0.001, 0.0005, 0.00025])


# The size of outputs


def test_the_deviation_of_every_output_on_the_first_batch_goes_to_log_and_records(tmp_path: Path) -> None:
    model, data = small(), Drawn()
    x = data.examples(8, 1, 0).x
    expected, out = {}, x
    for name, layer in model.named_children():
        out = layer(out)
        expected[f"init_std/{name}.{type(layer).__name__}"] = pytest.approx(out.std(correction=0).item())
    run(make_engine(tmp_path, model), data, OutputStd(enabled=True), Record(), log_every=5)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {name: value for name, value in rows[0].items() if name.startswith("init_std/")} == expected
    assert not any(name.startswith("init_std/") for row in rows[1:] for name in row)
    assert not any(module._forward_hooks for module in model.modules())


def test_figures_not_yet_recorded_survive_a_resume_and_are_not_measured_again(state: State) -> None:
    first, second = OutputStd(enabled=True), OutputStd(enabled=True)
    first.figures = {"init_std/0": 1.0}
    state.step = 3
    second.load_state_dict(first.state_dict())
    second.on_start(state)
    figures: dict[str, float] = {}
    second.on_log(state, figures)
    assert figures == {"init_std/0": 1.0}
    assert second.hooks == []


def test_it_is_off_by_default(tmp_path: Path) -> None:
    model = small()
    callback = OutputStd()
    callback.on_start(make_engine(tmp_path, model).state)
    assert callback.hooks == []


# From the command line


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["callbacks.stop.grad_norm=100"], "the gradient's norm"),
        (["callbacks.stop.weight_change=10"], "the weights changed by"),
        (["callbacks.stop.target=100"], "train/loss"),
        (["callbacks.stop.target=0.01", "callbacks.stop.monitor=val/accuracy"], "val/accuracy"),
        (["callbacks.early_stop.patience=1", "callbacks.early_stop.min_delta=9"], "val/loss did not improve"),
        (["trainer.max_time=0.000001"], "the time limit"),
    ],
)
def test_the_result_says_which_rule_ended_the_run(words: list[str], reason: str, tmp_path: Path) -> None:
    where = f"run_dir={tmp_path / 'run'}"
    result = train(
        ["data=iris", "callbacks.tensorboard=null", "trainer.log_every=2", "trainer.epochs=9", *words, where]
    )
    stored: dict[str, Any] = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored["status"] == result.result["status"] == "stopped"
    assert stored["reason"].startswith(reason)
    assert stored["step"] < 81
