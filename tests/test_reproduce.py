"""A run's folder trains its model again, to the bit, and what comes out otherwise is told."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import dlkit
from dlkit.cli import reproduce, train
from dlkit.rundir import load
from dlkit.runs import read_json

SHORT = ["callbacks=minimal", "trainer.max_steps=12", "trainer.limit_batches=12", "trainer.threads=1"]
MLP = ["data=digits", "model.hidden=[16]", "model.dropout=0.3", *SHORT]
CNN = ["data=digits", "model=cnn", "model.channels=[4]", "model.batch_norm=true", "data.augment.shift=0.1",
       "data.augment.rotate=5", "trainer.ema=0.9", *SHORT]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs `mlp` and `cnn`."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # in no repository
        for name, words in (("mlp", MLP), ("cnn", CNN)):
            dlkit.train([*words, f"run_dir={name}"])
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of them, where a command is typed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dlkit"])
    for name in ("mlp", "cnn"):
        shutil.copytree(trained / name, name)
    return tmp_path


def again(*args: str) -> int:
    """The exit code of `dlkit reproduce`."""
    with pytest.raises(SystemExit) as end:
        reproduce.main(list(args))
    return int(end.value.code or 0)


def change(path: str, **values: Any) -> None:
    """Changes some of the keys of a JSON or YAML file."""
    file = Path(path)
    content = yaml.safe_load(file.read_text())  # JSON is YAML
    for key, value in values.items():
        *above, last = key.split("__")
        node = content
        for name in above:
            node = node[name]
        node[last] = value
    file.write_text(json.dumps(content) if file.suffix == ".json" else yaml.safe_dump(content))


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_run_is_reproduced_to_the_bit_in_a_new_folder(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in Path(name).rglob("*") if path.is_file()}
    assert again(name) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == "reproduced: the same weights to the bit"
    assert "differs" not in shown
    (new,) = Path("outputs").glob(f"*/*-{name}-digits")
    weights = [load(folder / "checkpoints" / "last.pt")["model"] for folder in (Path(name), new)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert read_json(new / "result.json")["metrics"] == read_json(Path(name) / "result.json")["metrics"]
    assert {path: path.read_bytes() for path in Path(name).rglob("*") if path.is_file()} == before


def test_a_run_whose_digest_was_not_recorded_is_judged_by_its_last_checkpoint(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("mlp/result.json", digest=None)
    assert again("mlp", "--out", "a") == 0
    assert capsys.readouterr().out.endswith("reproduced: the same weights to the bit\n")
    path = Path("mlp/checkpoints/last.pt")
    content = torch.load(path, weights_only=True)
    next(iter(content["model"].values())).view(-1)[0] += 1e-6
    torch.save(content, path)
    assert again("mlp", "--out", "b") == 1
    assert "differs: the weights; likely: nothing that a run records" in capsys.readouterr().out
    path.unlink()
    assert again("mlp", "--out", "c") == 0
    assert "reproduced: the same metrics; the weights of then are gone" in capsys.readouterr().out


def test_what_was_otherwise_is_said_before_training_and_named_as_the_reason(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("mlp/env.json", git={"commit": "0123456789abcdef", "diff": "+1\n"}, versions__torch="2.0",
           device="NVIDIA H100", threads=7, data="fedcba",
           resumed=[{"arguments": ["optim.lr=1"], "step": 5}])  # fmt: skip
    change("mlp/result.json", digest="00", metrics={"test/loss": 0.5})
    assert again("mlp") == 1
    shown = capsys.readouterr().out
    first, _, rest = shown.partition("plan ")
    for words in ("0123456789ab", "1 lines", "2.0", "NVIDIA H100", "7"):
        assert len([line for line in first.splitlines() if f" {words} " in line and "differs" in line]) == 1
    assert "data  fedcba" in rest
    last = shown.splitlines()[-1]
    assert last.startswith("differs: the weights, test/loss")
    for reason in ("another commit", "other uncommitted changes", "another torch (2.0 then)", "another device (NVIDIA",
                   "other threads", "other data", "it was resumed at step 5, optim.lr=1"):  # fmt: skip
        assert reason in last


def test_the_difference_of_a_metric_is_now_minus_then(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loss = read_json(Path("mlp/result.json"))["metrics"]["test/loss"]
    result = read_json(Path("mlp/result.json"))
    result["metrics"]["test/loss"] = loss - 0.25
    Path("mlp/result.json").write_text(json.dumps(result))
    assert again("mlp") == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("test/loss")]
    assert line.split()[1:] == [f"{loss - 0.25:.6g}", f"{loss:.6g}", "+0.25"]


def test_an_edited_seed_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change("mlp/config.yaml", seed=5)
    assert again("mlp") == 1
    assert "config.yaml was changed after the run, whose seed was 0" in capsys.readouterr().out.splitlines()[-1]


def test_options_behind_the_run_change_it_and_are_named_in_the_verdict(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again("mlp", "trainer.save_every=0", "--out", "a") == 0
    assert "reproduced with trainer.save_every=0: the same weights" in capsys.readouterr().out
    assert again("mlp", "seed=1", "--out", "b") == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "likely: the options seed=1" in last
    assert "config.yaml" not in last
    assert read_json(Path("b/result.json"))["seed"] == 1


def test_data_that_has_moved_is_named_and_can_be_given_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rows.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i % 3},{'uv'[i % 2]}\n" for i in range(60)))
    dlkit.train(["data=table_csv", "data.path=rows.csv", "data.target=y", "data.batch_size=full", *SHORT, "run_dir=r"])
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert again("../r") == 2
    said = capsys.readouterr().err
    assert "rows.csv" in said
    assert f"the run was started in {here}: go there, or add data.path=…" in said
    assert said.count("\n") == 1
    assert again("../r", "data.path=../rows.csv", "--out", "a") == 0
    with (here / "rows.csv").open("a") as file:
        file.write("3,1,u\n")
    assert again("../r", "data.path=../rows.csv", "--out", "b") == 1
    assert "other data" in capsys.readouterr().out.splitlines()[-1]


def test_a_run_that_was_interrupted_must_end_first(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change("mlp/result.json", status="interrupted", signal=int(signal.SIGTERM))
    assert again("mlp") == 2
    assert "was interrupted at step 12" in (said := capsys.readouterr().err)
    assert said.endswith("let it end first: dlkit train resume=mlp\n")
    Path("mlp/result.json").unlink()
    assert again("mlp") == 2
    assert "mlp: was killed at step 12" in capsys.readouterr().err


def test_a_run_that_failed_is_reproduced_where_it_fails_alike(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["data=diabetes", "model=linreg", "optim=sgd", "optim.lr=1e6", "run_dir=r", *SHORT])
    assert read_json(Path("r/result.json"))["status"] == "failed"
    assert again("r") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("reproduced: it failed at step ")
    assert again("r", "optim.lr=0.01") == 1
    assert "differs: status, step" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "nowhere: there is no run"),
        (["mlp", "model=cnn"], "model=cnn: reproduce keeps this"),
        (["mlp", "run_dir=x"], "--out names the new folder"),
        (["mlp", "optim.lrr=1"], "did you mean optim.lr?"),
        (["mlp", "seed=1,2"], "several values are a sweep"),
        (["mlp", "init_from=gone"], "init_from=gone: the weights that the run began with are gone"),
        (["mlp", "--out", "cnn"], "there is a run already"),
        (["mlp", "--ouut", "x"], "did you mean --out?"),
        (["mlp", "trainer.device=mps"], "trainer.device=mps: no such device here"),
        (["mlp", "data.batch_size=5000"], "data.batch_size=5000 is larger than the training split"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_in_one_line(
    args: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(*args) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("outputs").exists()


def test_a_config_of_an_older_dlkit_is_completed(here: Path) -> None:
    config = yaml.safe_load(Path("mlp/config.yaml").read_text())
    del config["final"], config["trainer"]["limit_batches"], config["init"]["forget_bias"]
    del config["optim"]["layer_decay"]
    Path("mlp/config.yaml").write_text(yaml.safe_dump(config))
    change("mlp/result.json", digest=None)
    assert again("mlp", "trainer.limit_batches=12") == 0
