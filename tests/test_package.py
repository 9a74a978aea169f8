"""What is shipped: the README's commands, the dependencies, the source distribution and the wheel."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import dlkit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
SOURCES = {  # of modules whose package has another name
    "PIL": "pillow",
    "annotated_types": "annotated-types",
    "hydra": "hydra-core",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


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


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=; ]", requirement)[0] for requirement in requirements} - {"dlkit"}


def test_what_the_package_imports_is_declared_and_what_is_declared_is_imported() -> None:
    trees = [ast.parse(path.read_text()) for path in (REPOSITORY / "src").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    used = {SOURCES.get(top, top) for top in tops - {"dlkit", "hydra_plugins", "myproject"}}
    declared = names(sum((EXTRAS[extra] for extra in ("export", "optuna", "slurm", "ray")), PROJECT["dependencies"]))
    assert used | {"onnx"} == declared  # torch.onnx imports that


def test_ci_can_pin_each_dependency_to_the_lowest_version_it_states() -> None:
    everything = sum(EXTRAS.values(), PROJECT["dependencies"])
    pins = subprocess.run(["bash", REPOSITORY / ".ci" / "lowest"], capture_output=True, text=True, check=True).stdout
    pinned = dict(line.split("==") for line in pins.splitlines())
    assert set(pinned) == names(everything) | {"hatchling"}
    assert all(f">={pinned[name]}" in one for one in everything for name in names([one]))


def test_the_newest_version_of_the_changelog_is_this_one() -> None:
    found = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found and found[1] == dlkit.__version__


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, and the wheel that is made from it."""
    place = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "-o", place, REPOSITORY], check=True, capture_output=True)
    return place


@pytest.fixture(scope="module")
def site(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was unpacked."""
    place = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(dist / f"dlkit-{dlkit.__version__}-py3-none-any.whl") as archive:
        archive.extractall(place)
    return place


@pytest.mark.slow
def test_the_source_distribution_holds_what_the_repository_does(dist: Path) -> None:
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(tracked, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no git repository")
    top = f"dlkit-{dlkit.__version__}"
    with tarfile.open(dist / f"{top}.tar.gz") as archive:
        held = {name.removeprefix(f"{top}/") for name in archive.getnames()}
    assert held - {"PKG-INFO"} == {name for name in done.stdout.splitlines() if (REPOSITORY / name).exists()}


@pytest.mark.slow
def test_the_source_distribution_is_installed_and_trains(dist: Path, tmp_path: Path) -> None:
    """In a virtualenv of its own; what dlkit depends on is that of the environment the test runs in."""
    venv.create(tmp_path / "venv", with_pip=False)
    python, source = tmp_path / "venv" / "bin" / "python", dist / f"dlkit-{dlkit.__version__}.tar.gz"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--python", python]
    subprocess.run([*pip, "install", "--no-deps", source], check=True)
    (home,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (home / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # comes after dlkit's own folder
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(python, "-c", "import dlkit; print(dlkit.__file__)").startswith(str(home))
    run(python.with_name("dlkit"), "train", "trainer.epochs=1", "run_dir=run")
    assert '"status": "finished"' in (tmp_path / "run" / "result.json").read_text()


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
