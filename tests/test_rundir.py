"""The files of a run: whole or not at all, and where it came from."""

from __future__ import annotations

import fcntl
import json
import subprocess
from contextlib import suppress
from pathlib import Path, PosixPath
from threading import Thread, Timer
from time import sleep

import pytest
import torch

from dlkit import rundir
from dlkit.records import is_running
from dlkit.rundir import environment, git_state, load, locked, plain, remove_empty, save, whole, write_json, write_text


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text("old", path)
    with pytest.raises(RuntimeError), whole(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("the disk is full")
    assert path.read_text() == "old"


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "last.pt"
    with whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename between file systems would copy
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    content = {"model": {"w": torch.randn(3)}, "step": 7, "shape": (1, 2), "best": {"value": 0.5, "none": None}}
    save(content, tmp_path / "x.pt")
    loaded = load(tmp_path / "x.pt")
    assert torch.equal(loaded["model"].pop("w"), content["model"].pop("w"))  # type: ignore[attr-defined]
    assert loaded == content


def test_loading_runs_no_code_of_the_file(tmp_path: Path) -> None:
    save({"path": PosixPath("x")}, tmp_path / "x.pt")  # an object, which only its own class can make
    with pytest.raises(ValueError, match=r"x.pt: no checkpoint .* holds other things than tensors"):
        load(tmp_path / "x.pt")


def test_json_has_null_for_what_is_not_finite_at_any_depth(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    write_json({"a": nan, "b": [inf, {"c": (-inf, 1.5)}], "d": "nan", "e": 3, "f": True}, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == {"a": None, "b": [None, {"c": [None, 1.5]}], "d": "nan", "e": 3, "f": True}
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [0, 1.5, -0.0, 1e308, "text", None, True])
def test_finite_values_stay_as_they_are(value: object) -> None:
    assert plain(value) is value


def test_empty_folders_are_removed_up_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "day" / "run"
    folder.mkdir(parents=True)
    remove_empty(Path("outputs/day/run"))
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_stays_and_so_do_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "run").mkdir(parents=True)
    (tmp_path / "outputs" / "other").mkdir()
    remove_empty(tmp_path / "outputs" / "run")
    assert [p.name for p in (tmp_path / "outputs").iterdir()] == ["other"]
    (tmp_path / "outputs" / "other" / "file").touch()
    remove_empty(tmp_path / "outputs" / "other")
    assert (tmp_path / "outputs" / "other" / "file").exists()


def test_nothing_outside_the_working_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "here", tmp_path / "there"
    inside.mkdir()
    outside.mkdir()
    monkeypatch.chdir(inside)
    for folder in (outside, inside, tmp_path, Path("..") / "there", inside / "missing"):
        remove_empty(folder)
    assert inside.is_dir()
    assert outside.is_dir()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, as the working folder."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "train.py").write_text("lr = 0.1\n")
    git("init")
    git("add", "train.py")
    git("commit", "-m", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_in_a_repository_the_commit_and_the_changes_since_are_kept(repository: Path) -> None:
    clean = git_state()
    assert clean is not None
    assert (len(clean["commit"]), clean["diff"]) == (40, "")
    (repository / "train.py").write_text("lr = 0.2\n")
    dirty = git_state()
    assert dirty is not None
    assert dirty["commit"] == clean["commit"]
    assert "-lr = 0.1\n+lr = 0.2\n" in dirty["diff"]


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() is None


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state() is None


def test_the_environment_names_versions_device_arguments_and_data() -> None:
    found = environment(["optim.lr=0.1"], torch.device("cpu"), "0123abcd")
    assert found["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert (found["device"], found["data"], found["arguments"]) == ("cpu", "0123abcd", ["optim.lr=0.1"])
    assert json.loads(json.dumps(found)) == found


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "PACKAGES", ("torch", "no-such-package"))
    assert environment([], torch.device("cpu"), "")["versions"]["no-such-package"] is None


def test_a_lock_is_waited_for_where_somebody_only_asks_whether_it_is_held(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        Timer(0.05, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        with locked(tmp_path):
            assert is_running(tmp_path)
    assert not is_running(tmp_path)


def test_a_lock_that_is_given_back_while_others_wait_is_taken_by_one_of_them(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with suppress(ValueError), locked(tmp_path):
                inside.append(number)
                most.append(len(inside))
                sleep(0.0005)
                inside.remove(number)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
