"""`dlkit new`: a project of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from dlkit.cli import main, new

REPOSITORY = Path(__file__).parents[2]


def refused(capsys: pytest.CaptureFixture[str], name: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["new", name])
    assert end.value.code == 2
    return capsys.readouterr().err.strip()


def test_every_file_carries_the_project_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["new", "rain"])
    files = {str(path.relative_to(tmp_path / "rain")) for path in (tmp_path / "rain").rglob("*") if path.is_file()}
    named = {"conf/model/residual_mlp.yaml", "rain/models.py", "rain/data.py", "tests/test_rain.py", ".gitignore"}
    assert named <= files
    assert all(new.NAME not in path.read_text() for path in (tmp_path / "rain").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["my-project", "2nd", "json", "dlkit", "."])
def test_a_name_that_python_cannot_import_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "can be no package" in refused(capsys, name)


def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain" / "mine.txt").write_text("mine")
    assert "there is something already" in refused(capsys, str(tmp_path / "rain"))
    assert [path.name for path in (tmp_path / "rain").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_a_new_project_trains_and_passes_its_test_in_a_virtualenv_of_its_own(tmp_path: Path) -> None:
    """dlkit is installed from its wheel; what it depends on is that of the environment the test runs in."""
    venv.create(tmp_path / "venv", with_pip=False)
    home = tmp_path / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install", "--no-deps", "--target", home]
    subprocess.run([*pip, REPOSITORY], check=True)
    (home / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # comes after dlkit's own folder

    def run(*words: str, place: Path = tmp_path / "rain") -> str:
        python = tmp_path / "venv" / "bin" / "python"
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run([python, "-m", *words], cwd=place, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = tmp_path / "where.py"
    where.write_text("import dlkit; print(dlkit.__file__)")
    assert run("where", place=tmp_path).startswith(str(home))
    run("dlkit", "new", "rain", place=tmp_path)
    assert "finished" in run("dlkit", "train", "--config-dir", "conf", "experiment=first")
    assert "1 passed" in run("pytest", "-p", "no:cacheprovider", "-p", "no:xdist")
