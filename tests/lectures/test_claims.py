"""Every lecture: its file composes, and its claim holds; a new file under configs/ is tested without a line here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from lecture_runs import found

from dlkit.cli import docstring, lectures
from dlkit.cli.preflight import check
from dlkit.runs import read_json
from dlkit.settings import config_folder

NAMES = lectures.names()
# Those that are done in a few seconds, and what makes them smaller; the claim has to hold all the same.
FAST = {
    "backpropagation": [],
    "filters": [],
    "learning_rates": ["optim.lr=0.0003,0.2,0.28"],
    "nonlinearity": ["model.hidden=[],[32,32,32]", "trainer.epochs=25"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_lecture_composes_for_several_seeds_without_a_flag(name: str) -> None:
    checked = check([f"experiment=lectures/{name}", "seed=0,1,2"], config_folder())
    assert not checked.mistakes
    assert checked.trains_sweep  # with a single run `seed=0,1,2` would need -m
    assert checked.points is not None
    assert len(checked.points) % 3 == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_lecture_is_a_file_and_a_module_of_one_name_whose_first_line_is_the_claim(name: str) -> None:
    text = (config_folder() / lectures.CONFIGS / f"{name}.yaml").read_text()
    content = yaml.safe_load(text)
    assert content["figure"] == f"dlkit.lectures.{name}.figure"
    assert "sweep" not in content  # the same name for one seed and for three would be refused
    claim, _, rest = docstring(f"dlkit.lectures.{name}").partition("\n")
    assert claim.endswith(".")
    assert not rest.partition("\n")[0].strip()  # the claim is one line


@pytest.mark.parametrize("name", [name for name in NAMES if name in FAST])
def test_the_claim_of_a_lecture_holds_for_one_seed(name: str, tmp_path: Path) -> None:
    finding = found([f"experiment=lectures/{name}", *FAST[name]], tmp_path)
    assert finding["checks"]
    assert [check for check in finding["checks"] if not check["holds"]] == []


@pytest.mark.parametrize(
    ("words", "checked"),
    [
        (["nonlinearity", "model.hidden=[],[8]", "model.activation=identity,relu", "trainer.epochs=1"], 5),
        (["regularisation", "model.dropout=0,0.3", "trainer.max_steps=20"], 5),
        (["schedules", "scheduler=cosine,step", "trainer.epochs=1"], 1),
        (["trajectories", "optim=sgd,adam", "model.name=ravine,saddle", "trainer.max_steps=20"], 0),
    ],
)
def test_other_values_of_a_sweep_are_drawn_and_checked_where_the_claim_speaks_of_them(
    words: list[str], checked: int, tmp_path: Path
) -> None:
    finding = found([f"experiment=lectures/{words[0]}", *words[1:]], tmp_path)
    assert len(finding["checks"]) == checked
    assert (tmp_path / "figure.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_claim_holds_for_three_seeds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        lectures.main([name, "seed=0,1,2"])
    path = tmp_path / "outputs" / "lectures" / "seed=0,1,2" / name / "finding.json"
    if end.value.code == 2 and not path.is_file() and "DLKIT_DATA" not in os.environ:
        pytest.skip("no folder of real data: set DLKIT_DATA")
    finding = read_json(path)
    assert end.value.code == 0
    assert all(list(check["values"]) == ["0", "1", "2"] for check in finding["checks"])
    assert [check for check in finding["checks"] if not check["holds"]] == []
