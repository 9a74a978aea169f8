"""A whole sweep is checked before its first job: every wrong job is found, each mistake told once, nothing written."""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from dlkit.cli import preflight, train
from dlkit.cli import sweep as cli_sweep
from dlkit.cli.preflight import Checked, check, fitting
from dlkit.cli.preflight.rehearsal import Rehearsal
from dlkit.settings import config_folder
from dlkit.sweeps import compose
from dlkit.sweeps.compose import Composer
from dlkit.sweeps.plan import opened

pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves")
IN_A_PROCESS = fitting._rehearsed


@pytest.fixture(autouse=True)
def in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fitting, "_rehearsed", lambda configs, here: [*map(Rehearsal(here).mistakes, configs)])


def checked(command: str) -> Checked:
    return check(["-m", *command.split()], config_folder())


def misfits(command: str) -> list[str]:
    """The mistakes of a sweep in whose options alone nothing is wrong."""
    found = checked(command)
    assert found.mistakes == []
    return fitting.misfits(found)


def test_a_combination_that_one_job_alone_has_is_found() -> None:
    (line,) = misfits("data=iris data.batch_size=8,16 trainer.accumulate=1,8,16 optim.lr=0.1,0.2")
    assert line.startswith("trainer.accumulate=16 is more than data.batch_size=8 ")
    name = "data.batch_size=8,trainer.accumulate=16,optim.lr=0.1"
    assert line.endswith(f"(with data.batch_size=8 trainer.accumulate=16: 2 of 12 jobs, such as {name})")


def test_choices_that_do_not_go_together_are_found_each_once() -> None:
    lines = misfits("model=mlp,lstm_text data=digits,iris seed=range(3)")
    assert len(lines) == 2
    assert all("lstm_text takes texts" in line and "3 of 12 jobs" in line for line in lines)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("data=iris data.fold=0,12", "fold"),
        ("data=iris,diabetes data.batch_size=8 loss=mse,cross_entropy", "loss=cross_entropy"),
        ("data=iris data.batch_size=32,full,500", "data.batch_size=500 is larger than the training split"),
        ("callbacks.checkpoint.monitor=val/loss,val/losss data=iris", "val/losss: no such figure"),
        ("final.weights=last,average_last data=iris", "callbacks.checkpoint.keep_every"),
        ("model=cnn model.channels=[8],[8,8,8,8,8]", "channels"),
        ("freeze=false,true data=iris", "freeze=true"),
    ],
)
def test_what_only_building_shows_is_found_without_training(command: str, line: str) -> None:
    lines = misfits(command)
    assert any(line in found and " jobs, such as " in found for found in lines), lines


def test_where_models_are_right_nothing_is_found_also_where_they_look_at_numbers() -> None:
    assert misfits("model=mlp,cnn,lego init=lsuv,orthogonal optim=muon,sgd seed=0,1") == []


def test_jobs_with_a_wrong_option_are_told_with_the_rest() -> None:
    found = checked("data=iris optim.lr=0.1,-1 trainer.accumulate=1,64")
    assert [line.split(": ")[0] for line in found.mistakes] == ["optim.lr=-1"]
    (line,) = fitting.misfits(found)
    assert "(with optim.lr=0.1 trainer.accumulate=64: 1 of 4 jobs" in line


def test_data_and_devices_that_another_machine_may_have_are_not_asked_for_here() -> None:
    config = OmegaConf.to_container(check(["data=text_csv", "data.path=nowhere.csv", "data.text=a", "data.label=b"],
                                          config_folder()).config, resolve=True)  # fmt: skip
    assert isinstance(config, dict)
    assert any("nowhere.csv" in line for line in Rehearsal(here=True).mistakes(config))
    assert Rehearsal(here=False).mistakes(config) == []


def test_a_mistake_past_64_sets_of_choices_is_put_down_to_the_choice_that_makes_it() -> None:
    (line,) = checked("optim=adam,sgd,gd scheduler=glob(*) init=constant,normal,uniform optim.betas=[0,0]").mistakes
    assert "optim.betas: no such option" in line
    assert "(48 of 72 jobs, such as optim=sgd," in line


def test_a_sweep_of_a_thousand_jobs_is_checked_in_seconds() -> None:
    start = time.process_time()
    assert misfits("model=mlp,cnn optim=sgd,adam optim.lr=0.1,0.03,0.01,0.003,0.001 seed=range(50)") == []
    assert time.process_time() - start < 6


def test_a_sweep_without_end_is_refused() -> None:
    for values in ("range(1000000000)", "range(1e9)"):
        with pytest.raises(ValueError, match=r"^1,000,000,000 jobs: a sweep holds at most"):
            checked(f"seed={values}")


def test_an_interval_is_for_a_search() -> None:
    (line,) = checked("optim.lr=interval(0.1,1)").mistakes
    assert line.startswith("optim.lr=interval(0.1,1): is for a search, hydra/sweeper=optuna")


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("hydra.launcher.n_jobs=0", "hydra.launcher.n_jobs=0: must be at least 1"),
        ("hydra.launcher.n_jobs=two", "hydra.launcher.n_jobs=two: must be a whole number of at least 1 or null"),
        ("hydra/launcher=slurm hydra.launcher.mem_gb=-1", "hydra.launcher.mem_gb=-1: must be greater than 0"),
        ("hydra/launcher=ray hydra.launcher.retries=-1", "hydra.launcher.retries=-1: must be at least 0"),
        ("hydra.launcher.n_jobs=1,2", "hydra.launcher.n_jobs=1,2: all jobs share it, give it one value"),
        ("sweep=a,b", "sweep=a,b: all jobs share it, give it one value"),
        ("hydra/launcher=local,slurm", "hydra/launcher=local,slurm: all jobs share it, give it one value"),
    ],
)
def test_options_of_the_sweep_itself_are_checked(option: str, line: str) -> None:
    assert checked(f"seed=0,1 {option}").mistakes == [line]


def test_a_sweeps_name_is_refused_where_no_sweep_is_run() -> None:
    assert check(["sweep=a"], config_folder()).mistakes == ["sweep=a: names a sweep, which needs -m"]


def test_jobs_are_composed_as_hydra_composes_them() -> None:
    compose.COMPOSED.clear()
    choices = product(("mlp", "ridge"), ("auto", "mse"), ("mnist_cnn", "spirals"))
    rows = [[f"model={model}", f"loss={loss}", f"experiment={name}"] for model, loss, name in choices]
    jobs = [[*row, "optim.lr=1e-3", "seed=3", "tags=[a,b]", "callbacks.progress=null"] for row in rows]
    jobs += [["+width=7", "model.hidden=[${width}]"], ["~callbacks.progress", "optim.lr=1"], ["name='x y'"]]
    with preflight._hydra(config_folder(), None) as hydra:
        loader = hydra.config_loader
        sweep = hydra.compose_config("train", [], RunMode.MULTIRUN, with_log_configuration=False)
        composer = Composer(loader, sweep)
        for job in jobs:
            expected: Any = loader.load_sweep_config(sweep, job)
            of_groups = {key: str(value) for key, value in expected.hydra.runtime.choices.items()}
            with open_dict(expected):
                del expected["hydra"]
            config, chosen = composer.compose(job)
            assert config == OmegaConf.to_container(expected, resolve=True)
            assert chosen == of_groups


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    try:
        train.main(list(words))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_refused_sweep_exits_with_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fitting, "_rehearsed", IN_A_PROCESS)  # as a user's command does it
    assert run(monkeypatch, "-m", "data=iris", "optim.lr=0.1,-1", "trainer.accumulate=1,64") == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("optim.lr=-1: must be greater than 0")
    assert second.startswith("trainer.accumulate=64 is more than data.batch_size=12")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_names_the_jobs_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "-m", "data=iris", "model=mlp,logreg", "seed=0,1", "dry_run=true") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sweep   4 jobs: outputs/sweeps/data=iris-by-model,seed"
    assert lines[1:5] == [f"  model={model},seed={seed}" for model in ("mlp", "logreg") for seed in (0, 1)]
    assert lines[5:] == ["dry run: nothing was trained and nothing was written"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=0,1", "model=mlp,logreg"], ["data=iris-by-seed,model", "  seed=0,model=mlp", "  seed=0,model=logreg"]),
        (["hydra/sweeper=optuna", "optim.lr=interval(0.1,1)"], ["data=iris,search=tpe-by-optim.lr", "dry run: "]),
        (["hydra.sweep.dir='a b'", "seed=0,1"], ["jobs: a b", "  seed=0", "  seed=1"]),
    ],
)
def test_a_dry_run_has_the_names_that_the_sweep_will_have(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: list[str]
) -> None:
    monkeypatch.setattr(fitting, "misfits", lambda checked: [])
    assert run(monkeypatch, "-m", "data=iris", "dry_run=true", *words) == 0
    first, *rest = said
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(first)
    assert all(line.startswith(name) for line, name in zip(lines[1:], rest, strict=False))


def test_a_sweep_in_any_folder_is_found_again_and_checked_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fitting, "misfits", lambda checked: [])
    folder = tmp_path / "it's me, C:\\"
    folder.mkdir()
    plan = opened(folder, ["data=iris", "seed=0,1"], {"data": "iris"}, ["seed"])
    plan.write(folder)
    with pytest.raises(SystemExit) as end:
        cli_sweep.main(["resume", str(folder), "dry_run=true"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"sweep   2 jobs: {folder.name}\n")


def test_a_dry_run_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "-m", "data=iris", "trainer.accumulate=1,64", "dry_run=true") == 2
    assert capsys.readouterr().out == ""
