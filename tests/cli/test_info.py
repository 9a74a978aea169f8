"""`dlkit info`: of a real run, and of runs in every state; the curves that it draws."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from small_runs import make_run

from dlkit.cli import COMMANDS, curves, main
from dlkit.rundir import locked

NAN = float("nan")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dlkit"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs on iris, prolonged by a third."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    options = ["data=iris", "trainer.epochs=2", "trainer.log_every=5", "tags=[x,y]", "callbacks=minimal"]
    for words in ([*options, f"run_dir={folder}"], [f"resume={folder}", "trainer.epochs=3"]):
        with pytest.raises(SystemExit) as end:
            main(["train", *words])
        assert end.value.code == 0
    return folder


def info(capsys: Capture, *words: str) -> str:
    capsys.readouterr()
    main(["info", *words])
    return capsys.readouterr().out


def value(page: str, label: str) -> str:
    """What stands behind a label."""
    return next(line for line in page.splitlines() if line.startswith(f"{label:<8}"))[8:]


def following(page: str) -> list[str]:
    """The commands to type next."""
    return [line[8:] for line in page.splitlines() if line.startswith("next ")]


def test_a_run_records_its_choices_and_examples_and_a_resume_keeps_them(trained: Path) -> None:
    env = json.loads((trained / "env.json").read_text())
    assert {key: env["choices"][key] for key in ("model", "data", "optim", "callbacks")} == {
        "model": "mlp",
        "data": "iris",
        "optim": "adam",
        "callbacks": "minimal",
    }
    assert "experiment" not in env["choices"]
    assert not [group for group in env["choices"] if "/" in group]
    assert env["examples"] == {"train": 108, "val": 12, "test": 30}


def test_it_says_what_a_run_was_and_how_it_ended(trained: Path, capsys: Capture) -> None:
    page = info(capsys, str(trained))
    result = json.loads((trained / "result.json").read_text())
    env = json.loads((trained / "env.json").read_text())
    assert value(page, "run").startswith("data iris, model mlp, loss auto")
    assert value(page, "tags") == "x, y"
    assert value(page, "seed") == "0"
    assert shlex.split(value(page, "typed"))[:3] == ["dlkit", "train", "data=iris"]
    assert value(page, "resumed").startswith("at step 18, 20")
    assert value(page, "status") == "finished, step 27 (epoch 3)"
    assert value(page, "data") == f"train 108, val 12, test 30 examples, fingerprint {env['data']}"
    assert value(page, "model").startswith(f"{result['parameters']:,} parameters")
    assert f"{result['samples_per_second']:,.0f} samples/s" in value(page, "took")
    for key in ("dlkit", "torch"):
        assert f"{key} {env['versions'][key]}" in value(page, "code")
    for figure in result["metrics"].values():
        assert f"{figure:.4f}" in page
    assert "  checkpoints/last.pt" in page


def test_a_moved_run_says_the_same(trained: Path, capsys: Capture) -> None:
    shutil.copytree(trained, "b")
    here, there = (
        [line for line in info(capsys, folder).splitlines() if not line.startswith("typed")]
        for folder in ("b", str(trained))
    )
    assert here == [line.replace(str(trained), "b") for line in there]


def test_the_newest_run_is_shown_unless_one_is_named(capsys: Capture) -> None:
    make_run("outputs/a")
    newest = make_run("outputs/b", time="2026-02-01T12:00:00+00:00")
    assert value(info(capsys), "folder") == str(newest)
    assert value(info(capsys, "a"), "folder") == "outputs/a"


def test_what_is_no_run_is_refused_in_one_line(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["info", "nowhere"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "nowhere: there is no run, no such folder; `dlkit list` shows what there is\n"


def test_the_state_of_the_repository_is_told(capsys: Capture) -> None:
    make_run("a", env={"git": {"commit": "0123456789abcdef", "diff": "+x", "untracked": "one\ntwo\n"}})
    make_run("b", env={"git": {"commit": "0123456789abcdef", "diff": "", "untracked": ""}})
    assert value(info(capsys, "a"), "code").endswith("commit 0123456789 with uncommitted changes, 2 untracked files")
    assert value(info(capsys, "b"), "code").endswith("commit 0123456789")


def test_the_commands_to_type_next_fit_the_state(capsys: Capture) -> None:
    saved = ["checkpoints/last.pt", "events.out.tfevents.1"]
    finished, killed, early = make_run("finished"), make_run("killed it", result={}), make_run("early", result={})
    for folder in (finished, killed):
        for file in saved:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).touch()
    assert following(info(capsys, "finished")) == [
        "dlkit train resume=finished trainer.epochs=6   # prolongs it",
        "dlkit evaluate finished",
        "dlkit predict finished INPUT…",
        "dlkit export finished --format onnx",
        "dlkit reproduce finished",
        "tensorboard --logdir finished",
    ]
    page = info(capsys, "killed it")
    assert value(page, "status") == "ended without a result (killed?)"
    assert following(page)[0] == "dlkit train resume='killed it'   # goes on at the last checkpoint"
    assert following(info(capsys, "early"))[0].startswith("dlkit train run_dir=early resume=auto")
    with locked(early):
        page = info(capsys, "early")
    assert value(page, "status") == "running"
    assert following(page) == ["tail -f early/train.log"]
    every = {line.split()[1] for line in following(info(capsys, "finished")) if line.startswith("dlkit")}
    assert every <= set(COMMANDS)


def test_the_best_weights_are_offered_where_they_are_not_the_last(capsys: Capture) -> None:
    best = {"metric": "val/loss", "value": 0.25, "step": 80, "metrics": {"val/loss": 0.25, "test/loss": 0.2}}
    folder = make_run("a", result={"best": best})
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.pt").touch()
    page = info(capsys, "a")
    assert value(page, "best") == "val/loss 0.2500 at step 80"
    assert "test (best)" in page
    assert "dlkit evaluate a --weights best" in following(page)


def test_what_the_figures_are_of_is_told_where_it_is_not_the_last_weights(capsys: Capture) -> None:
    make_run("a", result={"weights": "average"})
    make_run("b", result={"weights": "last"})
    assert value(info(capsys, "a"), "model") == "50,826 parameters, measured with the average weights"
    assert value(info(capsys, "b"), "model") == "50,826 parameters"


def test_code_that_is_no_part_of_dlkit_is_named_and_not_imported(capsys: Capture) -> None:
    Path("evil.py").write_text("raise SystemExit('imported')")
    make_run("a", config={"model._target_": "evil.net"})
    make_run("b")
    assert value(info(capsys, "a"), "trust").startswith("model._target_=evil.net: no part of dlkit; add --trust")
    assert "--trust" not in info(capsys, "b")


def test_why_a_run_ended_is_told(capsys: Capture) -> None:
    make_run("a", result={"status": "failed", "reason": "the loss is not finite at step 3", "metrics": {}})
    assert value(info(capsys, "a"), "status") == "failed, step 120 (epoch 3): the loss is not finite at step 3"


@pytest.mark.parametrize("file", ["result.json", "config.yaml", "env.json", "metrics.jsonl"])
def test_a_damaged_or_missing_file_leaves_the_rest_to_be_told(file: str, capsys: Capture) -> None:
    folder = make_run("a", metrics=[{"step": 1, "train/loss": 1.0}, {"step": 2, "train/loss": 0.5}])
    (folder / file).write_text("{")
    page = info(capsys, "a")
    if file in ("result.json", "config.yaml"):
        assert value(page, "damaged") == f"{file} cannot be read"
    assert value(page, "folder") == "a"
    if file != "config.yaml":  # without which it would be no run
        (folder / file).unlink()
        assert value(info(capsys, "a"), "run") == "data digits, model mlp, optim adam"


def test_what_was_made_after_the_run_is_listed_with_its_size(capsys: Capture) -> None:
    folder = make_run("a")
    (folder / "evaluation-test.json").write_text("x" * 1234)
    (folder / "export").mkdir()
    for name in ("model.onnx", "README.md"):
        (folder / "export" / name).write_text("x" * 1000)
    lines = [" ".join(line.split()) for line in info(capsys, "a").splitlines()]
    assert "evaluation-test.json 1.2 kB" in lines
    assert "export/ 2.0 kB in 2 files" in lines


def test_curves_of_losses_and_accuracy_are_drawn_beside_their_figures(capsys: Capture) -> None:
    rows = [{"step": i, "train/loss": 8.0 - i, "train/grad_norm": 1.0} for i in range(8)]
    make_run("a", metrics=[*rows, {"step": 7, "val/loss": None}, {"step": 8, "val/loss": 0.5, "val/accuracy": 0.75}])
    lines = info(capsys, "a").splitlines()
    assert "train/loss    █▇▆▅▄▃▂▁  8 → 1, least 1, most 8" in lines
    assert "val/loss      ×▄        nan → 0.5, least 0.5, most 0.5, 1 of 2 not finite" in lines
    assert "val/accuracy  ▄         0.75, one value" in lines


def test_a_line_of_curve_fits_the_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("a", metrics=[{"step": i, "train/loss": 1 / (1 + i)} for i in range(500)])
    for columns in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        (line,) = [line for line in info(capsys, "a").splitlines() if line.startswith("train/loss")]
        assert len(line) <= columns


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 4, "▁▃▆█"),  # means 0.5, 2.5, 4.5, 6.5
        ([0, 10, 5], 2, "▁█"),  # stretches of one and of two
        ([3, 3, 3], 10, "▄▄▄"),
        ([5], 10, "▄"),
        ([], 10, ""),
        ([NAN, 1, NAN, 2], 2, "▁█"),  # means of what is finite
        ([NAN, NAN, 0, 1], 4, "××▁█"),
        ([NAN], 5, "×"),
        ([-2, -1, 0], 3, "▁▅█"),
    ],
)
def test_a_sparkline_draws_means_from_the_lowest_to_the_highest(values: list[float], width: int, drawn: str) -> None:
    assert curves.sparkline(values, width) == drawn


def test_where_blocks_cannot_be_printed_the_page_still_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_run("a", metrics=[{"step": 1, "train/loss": 1.0}])
    with Path("page.txt").open("w", encoding="ascii") as file:
        monkeypatch.setattr(sys, "stdout", file)
        main(["info", "a"])
    assert "train/loss  ?  1, one value" in Path("page.txt").read_text()
