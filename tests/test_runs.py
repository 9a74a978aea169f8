"""Finding runs: by folder, as the latest, by a part of their path."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_runs import make_run

from dlkit import runs

DAY = Path("outputs/2026-01-01")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(run: str) -> str:
    with pytest.raises(ValueError, match="run") as error:
        runs.find(run)
    return str(error.value)


def test_latest_is_the_run_that_began_last_whatever_its_name_and_depth() -> None:
    make_run(DAY / "12-00-00-z", time="2026-01-01T12:00:00+00:00")
    newest = make_run("outputs/sweeps/2026-01-02/00-00-00/3", time="2026-01-02T00:00:00+00:00")
    make_run("outputs/zzz", time="2025-12-31T00:00:00+00:00")
    assert runs.find("latest") == newest


def test_a_run_without_a_recorded_time_is_older_than_all_others() -> None:
    (make_run("outputs/b") / "env.json").write_text("{damaged")
    known = make_run("outputs/a")
    assert runs.find("latest") == known


def test_without_runs_latest_says_where_it_looked(tmp_path: Path) -> None:
    assert str(tmp_path / "outputs") in refusal("latest")


def test_a_folder_anywhere_is_found_as_it_was_typed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "elsewhere" / "a")
    assert runs.find(folder) == runs.find(str(folder)) == folder
    shutil.move(folder, "moved")
    assert runs.find("moved") == Path("moved")


@pytest.mark.parametrize("part", ["14-03-25-cnn-mnist", "cnn-mnist", "14-03", "2026-01-01/14-03-25", "cnn-mni"])
def test_a_part_of_its_path_is_enough_where_no_other_run_has_it(part: str) -> None:
    cnn = make_run(DAY / "14-03-25-cnn-mnist")
    make_run(DAY / "15-03-25-mlp-mnist")
    assert runs.find(part) == cnn


def test_an_end_of_the_path_wins_over_a_part() -> None:
    short = make_run(DAY / "14-00-00-cnn")
    make_run(DAY / "15-00-00-cnn-large")
    assert runs.find("cnn") == short


def test_a_part_of_several_runs_is_answered_with_the_newest_of_them() -> None:
    for hour in range(5):
        make_run(DAY / f"0{hour}-cnn", time=f"2026-01-01T0{hour}:00:00+00:00")
    assert refusal("cnn") == f"cnn: which run? it fits {DAY}/04-cnn, {DAY}/03-cnn, {DAY}/02-cnn and 2 more"


def test_a_mistyped_name_is_answered_with_the_closest() -> None:
    make_run(DAY / "14-03-25-lstm_text-trec")
    make_run(DAY / "14-03-25-mlp-digits")
    assert refusal("mlp-digist").endswith(f"did you mean {DAY}/14-03-25-mlp-digits?")
    assert "`dlkit list`" in refusal("qqqqqqqq")
    make_run("elsewhere/digits")
    assert refusal("elsewhere/digit").endswith("did you mean elsewhere/digits?")
    assert "`dlkit list`" in refusal("elsewhere/qqqqqqqq")


def test_a_folder_of_runs_is_no_run_but_says_how_to_see_those_inside() -> None:
    make_run("outputs/sweeps/a/0")
    assert "`dlkit list outputs/sweeps`" in refusal("outputs/sweeps")
    Path("empty").mkdir()
    assert refusal("empty") == "empty: there is no run, a run's folder holds config.yaml"


def test_hidden_folders_links_and_the_inside_of_runs_are_not_searched() -> None:
    run = make_run("outputs/a")
    make_run("outputs/a/copy")
    make_run("outputs/.trash/b")
    Path("outputs/link").symlink_to(run.absolute())
    assert list(runs.all_runs(Path("outputs"))) == [run]
    assert list(runs.all_runs(Path("nowhere"))) == []
    assert list(runs.all_runs(run)) == [run]
