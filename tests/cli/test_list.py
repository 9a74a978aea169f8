"""`dlkit list`: what it shows of runs in every state, its order, its filters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_runs import make_run

from dlkit.cli import main
from dlkit.rundir import locked

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def three() -> None:
    """Of an MLP, a later CNN, and a job of a sweep, the newest, which only says what it is in its targets."""
    accuracy = {"val/accuracy": 0.8, "test/accuracy": 0.81}
    make_run("outputs/a", env={"choices": {"model": "mlp", "data": "digits"}}, result={"tags": ["x", "first"]})
    make_run(
        "outputs/b",
        time="2026-01-02T12:00:00+00:00",
        config={"optim.lr": 1e-5, "model.hidden": [64]},
        env={"choices": {"model": "cnn", "data": "mnist"}},
        result={"metrics": accuracy, "seconds": 20.0},
    )
    make_run("outputs/sweeps/s/0", time="2026-01-03T12:00:00+00:00", result={"metrics": {"val/r2": 0.5}, "name": "c"})


def listed(capsys: Capture, *words: str) -> list[str]:
    """The folders that are shown."""
    main(["list", "--json", *words])
    return [run["folder"] for run in json.loads(capsys.readouterr().out)]


def line(capsys: Capture, *words: str) -> list[str]:
    """The cells of the only line shown."""
    main(["list", *words])
    _, one = capsys.readouterr().out.splitlines()
    return re.split(r"  +", one.strip())


def refused(capsys: Capture, *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["list", *words])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_runs_of_every_depth_are_listed_newest_first(capsys: Capture) -> None:
    three()
    assert listed(capsys) == ["outputs/sweeps/s/0", "outputs/b", "outputs/a"]
    assert listed(capsys, "--reverse") == ["outputs/a", "outputs/b", "outputs/sweeps/s/0"]
    assert listed(capsys, "-n", "1") == ["outputs/sweeps/s/0"]
    assert listed(capsys, "outputs/sweeps", "outputs/a") == ["outputs/sweeps/s/0", "outputs/a"]


def test_a_line_says_what_was_trained_how_it_ended_and_its_headline(capsys: Capture) -> None:
    three()
    cells = " ".join(line(capsys, "outputs/a")[1:])
    assert cells == "outputs/a finished mlp digits 3 accuracy 0.9000 0.9200 1.5"
    assert line(capsys, "name=c")[6:9] == ["r2", "0.5000", "-"]


def test_the_folder_is_shown_as_it_can_be_typed_even_where_the_terminal_is_narrow(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(Path("outputs") / ("long-" * 12))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as at a terminal
    main(["list", str(folder.absolute())])
    shown, note = capsys.readouterr()
    assert f"{folder}  " in shown
    assert "too narrow for when, seconds, epochs, model, data" in note
    monkeypatch.delenv("FORCE_COLOR")  # into a pipe: nothing is left out
    assert len(line(capsys)) == 10


def test_any_column_metric_or_key_sorts_smallest_first_and_what_lacks_it_is_last(capsys: Capture) -> None:
    three()
    assert listed(capsys, "--sort", "test/accuracy") == ["outputs/b", "outputs/a", "outputs/sweeps/s/0"]
    assert listed(capsys, "--sort", "test/accuracy", "--reverse") == ["outputs/a", "outputs/b", "outputs/sweeps/s/0"]
    assert listed(capsys, "--sort", "optim.lr")[0] == "outputs/b"
    assert listed(capsys, "--sort", "seconds")[-1] == "outputs/b"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["model=cnn"], "b"),
        (["model=mlp"], "0a"),
        (["model=*"], "0ba"),
        (["model!=cnn"], "0a"),
        (["optim.lr=0.00001"], "b"),
        (["optim.lr=1e-3"], "0a"),
        (["optim.lr<0.0005"], "b"),
        (["test/accuracy>0.9"], "a"),
        (["test/accuracy<=0.81"], "b"),
        (["tag=first"], "a"),
        (["tags=x"], "a"),
        (["tags!=x"], "0b"),
        (["tags=[x,first]"], "a"),
        (["model.hidden=[64]"], "b"),
        (["name=null"], "ba"),
        (["status=finished", "data=digits", "model=mlp"], "0a"),
        (["run=outputs/sweeps/*"], "0"),
    ],
)
def test_filters_compare_texts_patterns_and_numbers(words: list[str], names: str, capsys: Capture) -> None:
    three()
    assert [Path(folder).name for folder in listed(capsys, *words)] == list(names)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["modle=cnn"], "did you mean model?"),
        (["lr=3"], "did you mean optim.lr?"),
        (["--sort", "accuracy"], "did you mean test/accuracy, val/accuracy?"),
        (["--columns", "run,qqq"], "--columns qqq: no run has this"),
        (["seconds>long"], "> compares numbers, but long is none"),
        (["=3"], "is written KEY=VALUE"),
        (["cnn"], "cnn: no such folder; a filter is written model=cnn"),
        (["-n", "0"], "-n 0: must be at least 1"),
        (["--jsn"], "did you mean --json?"),
    ],
)
def test_a_mistake_is_answered_in_one_line(words: list[str], answer: str, capsys: Capture) -> None:
    three()
    assert answer in refused(capsys, *words)


def test_a_filter_that_no_run_fits_says_what_there_is(capsys: Capture) -> None:
    three()
    main(["list", "data=digits", "model=cnm"])
    shown, said = capsys.readouterr()
    assert shown == ""
    assert said == "no run has model=cnm; of the 2 looked at, model is mlp (2)\n"


def test_without_runs_it_says_where_it_looked(capsys: Capture, tmp_path: Path) -> None:
    main(["list"])
    assert str(tmp_path / "outputs") in capsys.readouterr().out
    assert listed(capsys) == []


def test_more_columns_may_be_any_key(capsys: Capture) -> None:
    three()
    assert line(capsys, "model=cnn", "--columns", "optim.lr,model.hidden")[-2:] == ["1e-05", "[64]"]


def test_json_holds_all_of_a_run_and_the_config_on_demand(capsys: Capture) -> None:
    three()
    main(["list", "--json", "outputs/a", "--columns", "config,optim.lr"])
    (run,) = json.loads(capsys.readouterr().out)
    assert run["time"] == "2026-01-01T12:00:00+00:00"
    assert run["choices"]["model"] == "mlp"
    assert run["metrics"]["test/accuracy"] == 0.92
    assert (run["status"], run["tags"], run["epoch"], run["optim.lr"]) == ("finished", ["x", "first"], 3.0, 0.001)
    assert run["config"]["optim"]["eps"] == 1e-8
    assert {"best", "seconds", "reason", "name", "seed", "step", "parameters"} <= set(run)


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
@pytest.mark.parametrize("file", ["result.json", "config.yaml", "env.json"])
def test_a_damaged_file_is_shown_as_such_and_stops_nothing(file: str, damage: str, capsys: Capture) -> None:
    three()
    Path("outputs/b", file).write_text(damage)
    main(["list", "--json"])
    states = {run["folder"]: run["status"] for run in json.loads(capsys.readouterr().out)}
    assert states["outputs/a"] == "finished"
    assert states["outputs/b"] == ("finished" if file == "env.json" else "damaged")
    main(["list"])
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_run_without_result_runs_while_its_lock_is_held_and_was_killed_otherwise(capsys: Capture) -> None:
    lines: list[dict[str, Any]] = [
        {"step": 40, "epoch": 1.0, "seconds": 0.5, "train/loss": 0.7},
        {"step": 40, "epoch": 1.0, "seconds": 0.6, "val/loss": 0.6, "val/accuracy": 0.75},
    ]
    folder = make_run("outputs/a", result={}, metrics=lines)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 80, "epo')  # as far as it was written
    with locked(folder):
        assert line(capsys)[2] == "running"
        assert line(capsys)[2] == "running"  # looking takes no lock away
    (folder / ".lock").write_text("12345")  # what a killed run leaves
    assert line(capsys)[2:] == ["killed", "mlp", "digits", "1", "accuracy", "0.7500", "-", "0.6"]
    with locked(folder):  # looking has kept none
        pass


def test_nothing_heavy_is_imported() -> None:
    three()
    code = "import sys; from dlkit.cli import main; main(['list', 'model=cnn']); main(['info', 'b'])"
    code += "; assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
