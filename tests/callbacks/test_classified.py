"""Panels of classes: their numbers are scikit-learn's, and TensorBoard reads them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from boards import Notes, evaluated
from events import events, images, last, tags
from PIL import Image

import dlkit
from dlkit.callbacks.panels import classified
from dlkit.callbacks.panels.classified import (
    THRESHOLDS,
    Confusion,
    PrCurves,
    Reliability,
    average_precision,
    confusion_matrix,
    pr_curves,
)
from dlkit.state import State

RNG = np.random.default_rng(0)
Y = RNG.integers(4, size=500)
P = RNG.dirichlet([0.5] * 4, 500) / 2 + np.eye(4)[RNG.permutation(Y) % 4] / 8 + np.eye(4)[Y] * 0.375


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Curves(Notes):
    def add_pr_curve_raw(self, tag: str, *curve: Any) -> None:
        self.found[tag] = curve


def drawn(state: State) -> set[str]:
    """What the three panels write."""
    board = Curves()
    for panel in (Confusion(), Reliability(), PrCurves()):
        panel.draw(state, board)
    return set(board.found)


def test_the_confusion_matrix_is_scikit_learns_classes_that_do_not_occur_included() -> None:
    y, guess = np.array([0, 2, 2, 1, 0]), np.array([0, 2, 1, 1, 2])
    found = confusion_matrix(y, guess, 4)
    assert found.tolist() == sk.confusion_matrix(y, guess, labels=range(4)).tolist()


def test_a_curve_has_scikit_learns_precision_and_recall_at_each_threshold() -> None:
    for label, (tp, fp, tn, fn, precision, recall) in enumerate(pr_curves(Y, P)):
        for i in range(0, THRESHOLDS, 9):
            guess = P[:, label] >= i / (THRESHOLDS - 1)
            matrix = sk.confusion_matrix(label == Y, guess, labels=[False, True])
            assert [[tn[i], fp[i]], [fn[i], tp[i]]] == matrix.tolist()
            assert precision[i] == sk.precision_score(label == Y, guess, zero_division=0)
            assert recall[i] == sk.recall_score(label == Y, guess)


def test_the_average_precision_is_scikit_learns_but_for_what_falls_between_two_thresholds() -> None:
    found = average_precision(pr_curves(Y, P))
    assert found == pytest.approx([sk.average_precision_score(label == Y, P[:, label]) for label in range(4)], abs=0.01)
    on_thresholds = np.round(P * 126) / 126
    ours = average_precision(pr_curves(Y, on_thresholds + 1e-9))
    theirs = [sk.average_precision_score(label == Y, on_thresholds[:, label]) for label in range(4)]
    assert ours == pytest.approx(theirs)


def test_a_run_writes_the_answers_of_its_last_evaluation() -> None:
    dlkit.train(["data=digits", "model=mlp", "trainer.epochs=1", "run_dir=r", "callbacks=everything"])
    assert {"val/confusion", "val/reliability"} <= images("r")
    assert tags("r", "pr_curve/") == set("0123456789")
    content = events("r").Images("val/confusion")[-1]
    with Image.open(BytesIO(content.encoded_image_string)) as picture:
        assert picture.size == (content.width, content.height) and picture.width < 1000
    from dlkit.evaluation.data import read
    from dlkit.evaluation.outputs import outputs
    from dlkit.trained import load

    trained = load(Path("r"))
    found = outputs(trained, read(trained), ["val"])
    expected = pr_curves(found.y.numpy(), found.out.double().softmax(1).numpy())
    np.testing.assert_allclose(last("r", "pr_curve/3"), expected[3], rtol=1e-6)
    (plugin,) = {
        events("r").SummaryMetadata(f"pr_curve/{name}").plugin_data.plugin_name for name in tags("r", "pr_curve/")
    }
    assert plugin == "pr_curves"


def test_of_many_classes_those_with_the_lowest_average_precision_have_curves() -> None:
    state = evaluated("data=digits", "model=mlp").state
    board = Curves()
    PrCurves(classes=3).draw(state, board)
    out, y = (torch.cat(parts) for parts in zip(*state.outputs, strict=True))
    curves = pr_curves(y.numpy(), out.double().softmax(1).numpy())
    worst = average_precision(curves).argsort()[:3]
    assert set(board.found) == {f"pr_curve/{label}" for label in worst}
    assert all(board.found[f"pr_curve/{label}"][-2:] == (state.step, THRESHOLDS) for label in worst)


def test_of_two_classes_the_second_has_a_curve() -> None:
    found = drawn(evaluated("data=synthetic", "data.kind=moons", "model=mlp").state)
    assert len([tag for tag in found if tag.startswith("pr_curve/")]) == 1


def test_a_class_that_does_not_occur_has_no_curve() -> None:
    state = evaluated("data=digits", "model=mlp").state
    state.outputs = [(out[y != 4], y[y != 4]) for out, y in state.outputs]
    assert "pr_curve/4" not in drawn(state) and "pr_curve/5" in drawn(state)


@pytest.mark.parametrize("loss", ["bce", "focal", "cross_entropy"])
def test_every_loss_with_a_link_has_all_panels(loss: str) -> None:
    found = drawn(evaluated("data=iris", "model=mlp", f"loss={loss}").state)
    assert {"val/confusion", "val/reliability"} < found


@pytest.mark.parametrize("data", ["iris", "breast_cancer"])
def test_a_loss_without_probabilities_has_a_confusion_matrix_alone(data: str) -> None:
    assert drawn(evaluated(f"data={data}", "model=mlp", "loss=hinge").state) == {"val/confusion"}


def test_numbers_as_targets_have_none_of_them() -> None:
    assert drawn(evaluated("data=diabetes", "model=mlp").state) == set()


def test_targets_that_are_shares_count_as_their_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    state = evaluated("data=iris", "model=mlp").state
    plain = classified.classified(state)
    state.outputs = [(out, torch.nn.functional.one_hot(y, 3) * 0.8) for out, y in state.outputs]
    shares = classified.classified(state)
    assert plain is not None and shares is not None
    assert plain.y.tolist() == shares.y.tolist()


def test_where_no_outputs_were_kept_nothing_is_drawn() -> None:
    state = evaluated("data=iris", "model=mlp").state
    assert drawn(replace(state, outputs=[])) == set()
