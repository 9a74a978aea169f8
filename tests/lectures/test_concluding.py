"""A figure at the end: which runs it gets, what is written, and how the program ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lecture_runs import found, train

from dlkit.cli import train as train_command
from dlkit.lectures.concluding import conclude
from dlkit.runs import read_json

TINY = ["data=iris", "model=logreg", "callbacks=minimal", "trainer.max_steps=2"]
FIGURES = '''"""Two is more than three."""

from dlkit.lectures.finding import Finding, at_least, at_most
from dlkit.plots.style import blank


def steps(runs):
    return [run.result["step"] for run in runs]


def right(runs):
    return Finding(blank(), [at_most("steps", max(steps(runs)), 2), at_most("runs", len(runs), 2)])


def wrong(runs):
    return Finding(blank(), [at_least("steps", min(steps(runs)), 3), at_most("steps", 2, 2)])


def broken(runs):
    return 1 / 0


def curve(runs):
    (run,) = runs
    where, values = run.curve("train/loss")
    x, y = run.examples("train")
    model = run.model()
    parts = [where == [2], len(values) == 1, len(x) == len(y) == 108, model.outputs(x).shape == (108, 3)]
    parts += [run.options["optim.lr"] == 0.001, run.choices["model"] == "logreg", run.data.spec.num_outputs == 3]
    return Finding(blank(), [at_least(str(i), part, 1) for i, part in enumerate(parts)])
'''


@pytest.fixture(autouse=True)
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_figures.py").write_text(FIGURES)


def test_a_figure_gets_the_runs_of_one_seed_at_a_time(tmp_path: Path) -> None:
    finding = found(["-m", *TINY, "optim.lr=0.1,0.2", "seed=3,4", "figure=my_figures.right"], tmp_path)
    assert finding["claim"] == "Two is more than three."
    assert [check["values"] for check in finding["checks"]] == [{3: 2, 4: 2}, {3: 2, 4: 2}]
    assert finding["holds"] is True


def test_picture_and_finding_are_written_beside_the_runs(tmp_path: Path) -> None:
    finding = found(["-m", *TINY, "figure=my_figures.right"], tmp_path)
    assert json.loads(Path("finding.json").read_text()) == json.loads(json.dumps(finding))
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in Path("figure.svg").read_text()


def test_a_finding_holds_only_if_all_its_checks_do(tmp_path: Path) -> None:
    finding = found(["-m", *TINY, "figure=my_figures.wrong"], tmp_path)
    assert [check["holds"] for check in finding["checks"]] == [False, True]
    assert finding["holds"] is False


def test_nothing_is_drawn_while_a_run_is_not_over(tmp_path: Path) -> None:
    train(["-m", *TINY, "optim.lr=0.1,0.2", "figure=my_figures.right"], tmp_path)
    result = read_json(tmp_path / "1" / "result.json")
    (tmp_path / "1" / "result.json").write_text(json.dumps(result | {"status": "failed"}))
    assert conclude(tmp_path) is None
    assert not Path("figure.png").exists()


def test_a_run_gives_its_curves_examples_model_and_options(tmp_path: Path) -> None:
    finding = found(["-m", *TINY, "trainer.log_every=2", "figure=my_figures.curve"], tmp_path)
    assert [check["what"] for check in finding["checks"] if not check["holds"]] == []


@pytest.mark.parametrize(("figure", "code"), [("right", 0), ("wrong", 1)])
def test_a_run_that_contradicts_its_claim_ends_with_exit_code_1(figure: str, code: int) -> None:
    with pytest.raises(SystemExit) as end:
        train_command.main([*TINY, f"figure=my_figures.{figure}", "run_dir=r"])
    assert end.value.code == code
    assert read_json(Path("r/result.json"))["finding"]["holds"] is (code == 0)


def test_runs_that_a_lecture_does_not_compare_are_told_in_one_line(tmp_path: Path) -> None:
    train(["-m", *TINY, "figure=dlkit.lectures.nonlinearity.figure"], tmp_path)
    with pytest.raises(
        ValueError, match=r"cannot draw these runs .KeyError.* those of experiment=lectures/nonlinearity"
    ):
        conclude(tmp_path)


def test_an_error_in_a_figure_of_ones_own_keeps_its_type(tmp_path: Path) -> None:
    train(["-m", *TINY, "figure=my_figures.broken"], tmp_path)
    with pytest.raises(ZeroDivisionError):
        conclude(tmp_path)
