"""dlkit from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import dlkit
from dlkit.rundir import load


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_returns_folder_metrics_and_the_trained_model() -> None:
    run = dlkit.train(["model.hidden=[16]", "trainer.epochs=3", "name=small", "tags=[a]"])
    assert run.folder.name.endswith("-small")
    assert run.result["tags"] == ["a"]
    assert [row["step"] for row in run.metrics if "val/loss" in row] == [40, 80, 120]
    saved = load(run.folder / "checkpoints" / "last.pt")["model"]
    assert all(torch.equal(saved[name], tensor) for name, tensor in run.model.state_dict().items())


def test_mistakes_are_raised_all_at_once_and_nothing_is_written() -> None:
    with pytest.raises(ValueError, match=r"(?s)optim.lrr.*optim.lr.*trainer.epochs=0"):
        dlkit.train(["optim.lrr=1", "trainer.epochs=0"])
    assert list(Path.cwd().iterdir()) == []


def test_what_does_not_fit_the_data_is_raised_and_nothing_is_written() -> None:
    with pytest.raises(ValueError, match="model=cnn takes images"):
        dlkit.train(["model=cnn", "data=synthetic"])
    assert list(Path.cwd().iterdir()) == []


def test_a_sweep_is_refused() -> None:
    with pytest.raises(ValueError, match="trains one model"):
        dlkit.train(["-m", "seed=0,1"])


def test_a_run_is_resumed_and_refused_when_it_has_ended() -> None:
    dlkit.train(["run_dir=r", "trainer.epochs=1"])
    with pytest.raises(ValueError, match="finished already"):
        dlkit.train(["resume=r"])
    assert dlkit.train(["resume=r", "trainer.epochs=2"]).result["step"] == 80
