"""An experiment's file can be a whole sweep: it runs as one typed does, and what is typed wins."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dlkit.cli import train
from dlkit.cli.preflight import check, fitting
from dlkit.settings import config_folder

STUDY = """# @package _global_
# Of my own.
defaults:
  - override /data: iris
trainer:
  epochs: 1
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: mlp,logreg
      optim.lr: 0.1,0.01
      seed: range(2)
"""


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with a study in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "wrong.yaml").write_text(STUDY.replace("0.1,0.01", "0.1,-1"))


def names(*words: str) -> list[str]:
    points = check(["--config-dir=mine", *words], config_folder()).points
    return [] if points is None else [points.name(point) for point in points]


def test_a_study_is_a_sweep_without_m() -> None:
    checked = check(["--config-dir=mine", "experiment=study"], config_folder())
    assert checked.multirun
    assert checked.config is None
    assert checked.argv[0] == "-m"
    assert len(names("experiment=study")) == 8
    assert names("experiment=study")[0] == "model=mlp,optim.lr=0.1,seed=0"


def test_what_is_typed_wins_over_the_file() -> None:
    expected = [f"optim.lr={lr},seed={seed}" for lr in (0.1, 0.01) for seed in (5, 6)]
    assert names("experiment=study", "model=cnn", "seed=5,6") == expected


def test_the_values_of_a_study_are_judged() -> None:
    (line,) = check(["--config-dir=mine", "experiment=wrong"], config_folder()).mistakes
    assert line.startswith("optim.lr=-1: must be greater than 0 (4 of 8 jobs")


def test_the_config_of_a_study_can_be_shown() -> None:
    checked = check(["--config-dir=mine", "experiment=study", "--cfg", "job"], config_folder())
    assert checked.mistakes == []
    assert "-m" not in checked.argv


def test_the_shipped_study_is_right() -> None:
    checked = check(["experiment=optimisers"], config_folder())
    assert checked.mistakes == []
    assert checked.points is not None
    assert len(checked.points) == 27


def test_a_study_runs_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_rehearsed", lambda configs, here: [[] for _ in configs])
    (tmp_path / "mine" / "main.yaml").write_text("defaults: [train, _self_]\n")
    with pytest.raises(SystemExit) as end:
        words = ("experiment=study", "model=logreg", "seed=0", "sweep=s", "callbacks=minimal")
        launcher = [f"hydra.launcher.{option}" for option in ("n_jobs=1", "n_jobs=2", "rerun_failed=true")]
        train.main(["--config-dir=mine", "--config-name=main", *launcher, *words])
    assert end.value.code == 0
    folder = tmp_path / "outputs" / "sweeps" / "s"
    ended = {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/result.json")}
    assert ended == {"optim.lr=0.1": "finished", "optim.lr=0.01": "finished"}
    (command,) = json.loads((folder / "sweep.json").read_text())["commands"]  # for `dlkit sweep resume`
    assert command == ["--config-dir", str(tmp_path / "mine"), "--config-name", "main", launcher[1], *words]
