"""The panel of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boards import Notes, evaluated

from dlkit.answers import in_own_unit
from dlkit.callbacks.panels import predicted
from dlkit.callbacks.panels.panel import answers


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_draws_the_validation_split_in_the_unit_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    state, board, seen = evaluated("data=diabetes", "model=mlp").state, Notes(), []
    draw = predicted.predicted
    monkeypatch.setattr(predicted, "predicted", lambda y, out: seen.append((y, out)) or draw(y, out))
    predicted.Predicted().draw(state, board)
    found = answers(state)
    assert found is not None and set(board.found) == {"val/predicted"}
    (y, out) = seen[0]
    assert y.mean() == pytest.approx(152, abs=25)  # of the disease's progression, 25 to 346
    np.testing.assert_allclose(out, in_own_unit(state.spec, found[0]).numpy())


def test_it_is_silent_for_classes_and_without_outputs() -> None:
    board = Notes()
    predicted.Predicted().draw(evaluated("data=iris", "model=mlp").state, board)
    state = evaluated("data=diabetes", "model=mlp").state
    state.outputs = []
    predicted.Predicted().draw(state, board)
    assert board.found == {}
