"""What is shipped: the README's commands, the wheel, a clean tree."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = "pip install -e '.[dev]' && pytest"
    fences = (REPOSITORY / "README.md").read_text().split("```")
    readme, ci = (fence.removeprefix("bash\n") for fence in fences[1::2]), (REPOSITORY / ".ci" / "run").read_text()
    assert command in {line.strip() for fence in readme for line in fence.splitlines()}
    assert command in ci.replace("pip install -q", "pip install")


def test_the_answer_to_a_mistake_in_the_readme_is_the_one_that_comes() -> None:
    from dlkit.cli import preflight
    from dlkit.settings import config_folder

    fences = (REPOSITORY / "README.md").read_text().split("```")[1::2]
    command, answer = next(fence for fence in fences if fence.startswith("\n$ ")).strip().splitlines()
    args = command.removeprefix("$ python train.py ").split()
    assert preflight.check(args, config_folder()).mistakes == [answer]


def test_what_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (REPOSITORY / "README.md").read_text())
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_every_command_line_of_the_readme_is_accepted() -> None:
    from dlkit.cli import preflight
    from dlkit.settings import config_folder

    fences = (REPOSITORY / "README.md").read_text().split("```bash")[1:]
    lines = [line.split("#")[0].strip() for fence in fences for line in fence.split("```")[0].splitlines()]
    commands = [shlex.split(line.partition("python train.py")[2]) for line in lines if "python train.py" in line]
    assert len(commands) >= 6
    for args in commands:
        assert preflight.check(args, config_folder()).mistakes == [], args


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, as on another machine."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", place, REPOSITORY], check=True)
    (wheel,) = place.glob("dlkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


@pytest.mark.slow
def test_the_wheel_holds_every_config(site: Path) -> None:
    shipped = {path.relative_to(site / "dlkit" / "configs") for path in (site / "dlkit" / "configs").rglob("*.yaml")}
    assert shipped == {path.relative_to(REPOSITORY / "configs") for path in (REPOSITORY / "configs").rglob("*.yaml")}


@pytest.mark.slow
def test_the_wheel_trains_from_any_folder_with_a_model_of_the_users(site: Path, tmp_path: Path) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("# Mine.\n_target_: mine.net\nwidth: 16\n")
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net(spec, outputs, *, width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, outputs))\n"
    )
    command = [sys.executable, "-m", "dlkit", "train", "--config-dir", "conf", "model=mine", "trainer.epochs=2"]
    done = subprocess.run(
        [*command, "model.width=24"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (result,) = (tmp_path / "outputs").rglob("result.json")
    assert f'"parameters": {64 * 24 + 24 + 24 * 10 + 10}' in result.read_text()
