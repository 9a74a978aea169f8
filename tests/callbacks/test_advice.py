"""Every warning comes for what a student would type, once, and none for a run that is well."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from test_configs import config
from torch import nn

from dlkit.build import Experiment, build
from dlkit.callbacks import symptoms
from dlkit.callbacks.advice import Advice
from dlkit.guard import NonFinite
from dlkit.probe import Activity
from dlkit.state import State
from dlkit.trainer import fit

ADVICE = "+callbacks.advice._target_=dlkit.callbacks.advice.Advice"
DEEP = "model.hidden=[64,64,64,64,64,64,64,64]"
pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves", "ignore:activation step")


def trained(place: Path, words: str, *more: str) -> Experiment:
    run = build(config(*words.split(), *more, "callbacks=minimal", ADVICE), place)
    with suppress(NonFinite):
        every = {"eval_every": run.eval_every, "log_every": run.trainer.log_every}
        fit(run.state, run.engine, run.data, run.schedule, run.callbacks, **every)
    return run


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and r.name == "dlkit"]


def advice_of(run: Experiment) -> Advice:
    return next(one for one in run.callbacks if isinstance(one, Advice))


PROVOKED = {
    f"data=digits {DEEP} model.activation=sigmoid trainer.epochs=1": ("gradients vanish", "1.Linear", "=relu"),
    "data=digits init=constant trainer.epochs=1": ("all units of 1.Linear begin with the same", "init=xavier"),
    "data=digits model=cnn init=constant trainer.max_steps=2": ("all units of 0.Conv2d begin", "init=xavier"),
    "data=cldr_names model=lstm_text init=constant trainer.max_steps=2": ("all units of recurrent", "init=xavier"),
    "data=digits optim.lr=10 trainer.epochs=2": ("train/loss is", "learning rate 10 is too high", "optim.lr=1 "),
    "data=digits optim.lr=0.3 trainer.epochs=2": ("of ", "are dead, 0 for all of 256 examples", "optim.lr=0.03"),
    "data=wine data.normalize=none trainer.epochs=1": ("inputs are not scaled", "column 12", "=standardize"),
    "data=digits init=normal trainer.max_steps=2": ("the first loss is", "guessing would have 2.3", "init=kaiming"),
    "data=digits init=normal model.activation=sigmoid trainer.max_steps=2": ("% of the outputs of", "paralysis"),
    f"data=digits {DEEP} init=normal trainer.epochs=1": ("gradients explode", "x its weights", "init=kaiming"),
    "data=diabetes model=mlp data.scale_target=false trainer.epochs=1": ("gradients explode", "data.scale_target=true"),
    "data=synthetic data.noise=0.4 data.examples=300 data.val_fraction=0.5 model.hidden=[256,256] optim.lr=0.005 "
    "trainer.epochs=60": ("val/loss rose from", "by heart", "model.dropout=0.5"),
}


@pytest.mark.parametrize("words", PROVOKED)
def test_what_goes_wrong_is_told_once_with_its_number_and_something_to_try(
    words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(tmp_path, words)
    lines = warned(caplog)
    (line,) = [one for one in lines if all(part in one for part in PROVOKED[words])]
    assert line.startswith("step ") and "\n" not in line and len(line) < 300
    assert " Try " in line
    assert len({one.partition(":")[2][:20] for one in lines}) == len(lines) <= 4


HEALTHY = [
    "data=digits trainer.epochs=5",
    "data=digits model=cnn trainer.epochs=2",
    "data=digits model=logreg trainer.epochs=5",
    *(
        f"data=digits optim={name} trainer.epochs=3"
        for name in ("sgd", "momentum", "adagrad", "rmsprop", "adamw", "muon")
    ),
    "data=digits optim=gd trainer.epochs=20",
    *(f"data=digits init={name} trainer.epochs=2" for name in ("kaiming", "xavier", "lecun", "orthogonal", "lsuv")),
    *(f"data=digits model.activation={name} trainer.epochs=3" for name in ("sigmoid", "tanh", "softsign", "maxout")),
    f"data=digits {DEEP} trainer.epochs=4",
    f"data=digits {DEEP} model.activation=sigmoid model.batch_norm=true trainer.epochs=3",
    *(f"data=digits loss={name} trainer.epochs=2" for name in ("bce", "hinge", "focal", "mse")),
    "data=digits model=perceptron trainer.max_steps=500",
    "data=digits data.normalize=none trainer.epochs=2",
    "data=digits data.batch_size=1 trainer.log_every=1 optim=sgd trainer.max_steps=300",
    "data=iris",
    "data=iris data.batch_size=full trainer.epochs=50",
    "data=iris model=logreg data.normalize=none",
    "data=wine",
    "data=wine data.normalize=ple trainer.epochs=3",
    "data=wine data.normalize=minmax trainer.epochs=3",
    "data=breast_cancer",
    "data=synthetic trainer.epochs=10",
    "data=synthetic data.name=sine trainer.epochs=10",
    "data=diabetes model=ridge trainer.epochs=30",
    "data=diabetes model=lasso trainer.epochs=30",
    "data=cldr_names model=lstm_text trainer.max_steps=30",
    pytest.param("data=vowels model=lstm_speech trainer.max_steps=20", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("words", HEALTHY)
def test_a_run_that_is_well_is_not_warned(words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = trained(tmp_path, words)
    assert warned(caplog) == [] and advice_of(run).told == set()


def test_units_that_are_warned_of_get_the_same_gradients(tmp_path: Path) -> None:
    """And those of the net beside it, which is not warned of, do not: what leaves its equal units differs."""
    run = build(config("data=digits", "init=constant", "callbacks=minimal"), tmp_path)
    other = build(config("data=digits", "callbacks=minimal"), tmp_path)
    with torch.no_grad():
        other.state.model[1].weight.fill_(0.01)  # type: ignore[index,union-attr,operator]
        other.state.model[1].bias.zero_()  # type: ignore[index,union-attr,operator]
    alike = []
    for one in (run, other):
        one.engine.backward(next(one.data.train(0)))
        grad = one.state.model[1].weight.grad  # type: ignore[index,union-attr]
        alike.append(torch.allclose(grad, grad[:1].expand_as(grad), atol=1e-8))  # type: ignore[union-attr,index,arg-type,operator]
    assert alike == [True, False]
    assert symptoms.equal_units(run.state.model, {}) and not symptoms.equal_units(other.state.model, {})


def test_the_loss_of_guessing_is_ln_k_and_for_standardised_numbers_their_variance(tmp_path: Path) -> None:
    assert advice_of(trained(tmp_path, "data=digits trainer.max_steps=1")).guess == pytest.approx(2.302585, rel=1e-5)
    run = trained(tmp_path, "data=diabetes model=mlp trainer.max_steps=1")
    assert advice_of(run).guess == pytest.approx(1.0, abs=1e-5)


def test_what_was_told_is_not_told_again_after_a_resume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = f"data=digits {DEEP} model.activation=sigmoid trainer.epochs=1"
    first = advice_of(trained(tmp_path, words))
    assert first.told == {"gradients"}
    again = Advice()
    again.load_state_dict(first.state_dict())
    assert again.state_dict() == first.state_dict()
    caplog.clear()
    again._tell(State.__new__(State), "gradients", "as before")
    assert warned(caplog) == []


def test_a_resumed_run_and_one_that_begins_with_old_weights_have_no_first_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = build(config("data=digits", "init=normal", "callbacks=minimal", ADVICE, "init_from=null"), tmp_path)
    run.state.config["init_from"] = "somewhere"
    advice_of(run).on_start(run.state)
    assert not any("first loss" in line for line in warned(caplog))
    caplog.clear()
    run.state.config["init_from"], run.state.step = None, 5
    Advice().on_start(run.state)
    assert warned(caplog) == []


def test_a_job_of_a_sweep_is_not_looked_into_before_it_trains(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    run = build(config("data=wine", "data.normalize=none", "callbacks=minimal", ADVICE), tmp_path / "job")
    advice_of(run).on_start(run.state)
    assert warned(caplog) == [] and advice_of(run).guess > 0 and run.state.probed is None


def test_only_options_that_the_run_has_and_that_change_it_are_proposed() -> None:
    given = {"data": {"normalize": "none"}, "init": {"_target_": "dlkit.inits.xavier"}, "optim": {"lr": 0.5}}
    named = ("data.normalize=standardize", "init=xavier", "init=kaiming", "model.dropout=0.5")
    assert symptoms.tries(given, *named) == " Try data.normalize=standardize or init=kaiming"
    assert symptoms.tries(given, "data.normalize=none", symptoms.lower_rate(given)) == " Try optim.lr=0.05"
    assert symptoms.tries({}, *named) == "" and symptoms.lower_rate({"optim": {"lr": None}}) == ""


@pytest.mark.parametrize(("share", "told"), [(0.8, False), (0.81, True)])
def test_dead_units_are_told_above_their_threshold(share: float, told: bool) -> None:
    found = {
        "2.ReLU": Activity(0, 1, None, 0.1),
        "4.ReLU": Activity(0, 1, None, share),
        "6.Tanh": Activity(0, 1, 0.2, None),
    }
    line = symptoms.dead_units(found, 256, {})
    assert (line is not None) == told and (not told or "81% of the units of 4.ReLU" in str(line))


@pytest.mark.parametrize(
    ("now", "told"), [((0.5, 0.1), True), ((0.5, 0.39), False), ((0.42, 0.1), False), ((0.12, 0.01), False)]
)
def test_overfitting_is_a_rise_that_matters_while_training_falls(now: tuple[float, float], told: bool) -> None:
    best = (0.35, 0.4) if now[0] > 0.2 else (0.05, 0.04)
    assert (symptoms.overfitting(now, best, 10, 2.3, {}) is not None) == told


def test_a_first_look_takes_less_than_a_twentieth_of_a_second(tmp_path: Path) -> None:
    from time import thread_time

    run = build(config("data=digits", "callbacks=minimal", ADVICE), tmp_path)
    times = []
    for _ in range(3):
        begin = thread_time()
        Advice().on_start(run.state)
        times.append(thread_time() - begin)
    assert min(times) < 0.05


def test_a_model_of_two_examples_is_looked_into(tmp_path: Path) -> None:
    run = build(config("data=digits", "callbacks=minimal", "trainer.overfit_batches=1", "data.batch_size=1"), tmp_path)
    advice = Advice()
    advice.on_start(run.state)
    assert isinstance(run.state.model, nn.Module) and advice.start > 0
