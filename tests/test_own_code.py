"""What is wrong with a model, a loss, a data set … of one's own is told in one line that says what was expected."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dlkit
from dlkit import trained
from dlkit.cli.preflight import check
from dlkit.settings import config_folder

CODE = """
import torch
from torch import nn

def net(spec, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

def forgets_to_return(spec, outputs):
    net(spec, outputs)

class Total(nn.Module):
    def __init__(self, spec, outputs):
        super().__init__()
        self.inner = net(spec, outputs)
    def forward(self, x):
        return self.inner(x).sum()

class Pair(Total):
    def forward(self, x):
        return self.inner(x), x

class WithoutSpec(nn.Module):
    def __init__(self, width=3):
        super().__init__()

class LikeTorchs(nn.Module):
    def __init__(self, spec):
        super().__init__()
    def forward(self, out, y):
        return nn.functional.cross_entropy(out, y)

def factor(total):
    return 0.5

def updates(params, lr):
    return [lr]

def pairs():
    return torch.zeros(9, 2), torch.zeros(9)
"""
TINY = ["model=logreg", "data=digits", "callbacks=minimal", "trainer.max_steps=1", "run_dir=r"]


@pytest.fixture(autouse=True)
def in_a_folder_with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_parts.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_parts", None)


@pytest.mark.parametrize(
    ("group", "name", "line"),
    [
        ("model", "forgets_to_return", "gives NoneType; expected an nn.Module"),
        ("model", "Total", r"the model gives \(\) for 2 examples; the loss wants \(2, 10\)"),
        ("model", "Pair", r"the model gives tuple for 2 examples; the loss wants \(2, 10\)"),
        ("model", "WithoutSpec", r"is called as \(spec, outputs, \*, options\), and takes \(width\)"),
        ("loss", "LikeTorchs", "gives LikeTorchs; expected an object with outputs, __call__ and probabilities"),
        ("scheduler", "factor", "gives float; expected a function of the steps done"),
        ("optim", "updates", "gives list; expected a torch.optim.Optimizer"),
        ("data", "pairs", "gives tuple; expected dlkit.data.Examples"),
    ],
)
def test_what_does_not_keep_its_contract_is_told_with_it_before_the_folder_is_made(
    group: str, name: str, line: str
) -> None:
    file = Path("conf", group, "mine.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(f"_target_: own_parts.{name}\n" + "lr: 0.1\n" * (group == "optim"))
    with pytest.raises(ValueError, match=line) as refused:
        dlkit.train(["--config-dir", "conf", *TINY, f"{group}=mine"])
    assert "\n" not in str(refused.value)
    assert not Path("r").exists()


def test_what_a_model_is_given_by_position_is_no_option_of_it() -> None:
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/mine.yaml").write_text("_target_: own_parts.net\n")
    (line,) = check(["--config-dir", "conf", "model=mine", "+model.spec=1"], config_folder()).mistakes
    assert line.startswith("model.spec: no such option")


def test_a_choice_that_lies_in_a_folder_here_is_told_with_the_option_that_adds_it() -> None:
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/mine.yaml").write_text("_target_: own_parts.net\n")
    line = check(["model=mine"], config_folder()).mistakes[0]
    assert line.startswith("model=mine: no such choice; conf/model/mine.yaml is one: add `--config-dir conf`")
    long = "a" * 300  # no file can have that name
    assert check([f"model={long}"], config_folder()).mistakes[0].startswith(f"model={long}: no such choice")


def test_a_run_whose_code_is_not_here_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dlkit.train([*TINY, "model._target_=own_parts.net"])
    del sys.modules["own_parts"]
    sys.path.remove(str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"own_parts.net cannot be imported: .* is looked for where the command is"):
        trained.load(tmp_path / "r", trust=True)


def test_a_project_seen_from_the_folder_around_it_says_where_to_type_the_command() -> None:
    Path("around/around").mkdir(parents=True)
    Path("around/around/__init__.py").touch()
    line = check(["model._target_=around.models.net"], config_folder()).mistakes[0]
    assert line.endswith(f"the package around lies in {Path('around').absolute()}: type the command there")
