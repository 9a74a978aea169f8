"""Linear models: one layer, and the loss, regulariser, optimiser and batch size that a choice brings with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from dlkit.build import build
from dlkit.cli.preflight import check
from dlkit.models.linear import linear, logreg
from dlkit.settings import config_folder
from dlkit.types import Spec


def config(*command: str) -> DictConfig:
    checked = check(list(command), config_folder())
    assert checked.mistakes == []
    assert checked.config is not None
    return checked.config


def choices(*command: str) -> tuple[str, str, str, int]:
    """The loss, the regulariser, the optimiser and the batch size that a command comes to."""
    cfg = config(*command)
    loss, regularizer, optim = (cfg[name]._target_.rpartition(".")[2] for name in ("loss", "regularizer", "optim"))
    return loss.lower(), regularizer.lower(), optim, cfg.data.batch_size


@pytest.mark.parametrize("make", [linear, logreg])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_linear_model_is_one_layer_of_the_width_that_its_loss_wants(regression: Spec, make, outputs: int) -> None:  # type: ignore[no-untyped-def]
    model, x = make(regression, outputs), torch.randn(5, 4)
    weight, bias = model.parameters()
    assert weight.shape == (outputs, 4)
    torch.testing.assert_close(model(x), x @ weight.T + bias)


@pytest.mark.parametrize(
    ("model", "comes_to"),
    [
        ("linreg", ("mse", "none", "adam", 32)),
        ("ridge", ("mse", "l2", "adam", 32)),
        ("lasso", ("mse", "l1", "adam", 32)),
        ("svm", ("hinge", "l2", "adam", 32)),
        ("perceptron", ("perceptron", "none", "sgd", 1)),
        ("logreg", ("auto", "none", "adam", 32)),
    ],
)
def test_a_linear_model_brings_what_makes_it_that_model(model: str, comes_to: tuple[str, str, str, int]) -> None:
    assert choices(f"model={model}") == comes_to


def test_the_command_line_wins_over_what_a_model_brings() -> None:
    assert choices("model=ridge", "loss=mae") == ("mae", "l2", "adam", 32)
    assert choices("regularizer=none", "model=lasso") == ("mse", "none", "adam", 32)
    assert choices("model=perceptron", "optim=momentum", "data.batch_size=8") == ("perceptron", "none", "momentum", 8)
    assert config("model=ridge", "regularizer.gamma=3").regularizer.gamma == 3


def test_the_perceptron_sees_one_example_at_a_time_of_any_data() -> None:
    assert config("data=mnist").data.batch_size == 128
    assert config("model=perceptron", "data=mnist").data.batch_size == 1


def test_an_experiment_wins_over_what_its_model_brings(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\n# A soft one.\ndefaults:\n  - override /model: svm\n  - override /loss: logistic\n"
    (tmp_path / "experiment" / "soft.yaml").write_text(text + "data:\n  batch_size: 5\n")
    where = ("--config-dir", str(tmp_path), "experiment=soft")
    assert choices(*where) == ("logistic", "l2", "adam", 5)
    assert choices(*where, "loss=hinge", "regularizer=none") == ("hinge", "none", "adam", 5)


def test_a_strength_below_zero_is_refused() -> None:
    for model in ("ridge", "lasso", "svm"):
        (line,) = check([f"model={model}", "regularizer.gamma=-1"], config_folder()).mistakes
        assert line == "regularizer.gamma=-1: must be at least 0"
    (line,) = check(["model=linreg", "regularizer.gamma=1"], config_folder()).mistakes
    assert line.startswith("regularizer.gamma: no such option")


def test_the_perceptron_learns_by_rosenblatt_s_rule(tmp_path: Path) -> None:
    """`w += η y x` where the margin `y (wᵀx + b)` is negative, else nothing."""
    run = build(config("model=perceptron", "data=breast_cancer", "optim.lr=0.5"), tmp_path)
    assert isinstance(run.state.model, nn.Sequential)
    w, b = run.state.model.parameters()
    batches = run.data.train(0)
    learnt = 0
    for _ in range(50):
        batch = next(batches)
        x, y = batch.x[0], 2 * batch.y[0] - 1
        wrong = (y * (w @ x + b) < 0).item()
        expected = (w + 0.5 * y * x, b + 0.5 * y) if wrong else (w.clone(), b.clone())
        run.engine.backward(batch)
        run.engine.update()
        torch.testing.assert_close((w.detach(), b.detach()), tuple(tensor.detach() for tensor in expected))
        learnt += wrong
    assert 0 < learnt < 50
