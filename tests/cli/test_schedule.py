"""`dlkit schedule`: the picture, the figures it prints, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dlkit.cli import main
from dlkit.cli.schedule import rates_of

SMALL = ["data=iris", "trainer.epochs=10", "optim.lr=0.5"]  # 90 steps


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["schedule", *words])
    assert end.value.code == 2
    assert list(Path().iterdir()) == []
    return capsys.readouterr().err


def test_it_prints_first_highest_and_last_rate_and_writes_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schedule", *SMALL, "scheduler=wsd", "scheduler.warmup_steps=10", "scheduler.decay=0.5", "--out", "lr.png"])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "first 0.05, highest 0.5 at step 10, last 0.01111"
    assert out[1] == "90 steps, 10 epochs of 9: lr.png"
    assert Path("lr.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path().iterdir()] == ["lr.png"]


def test_the_file_is_schedule_png_unless_named(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schedule", *SMALL])
    main(["schedule", *SMALL, "--out=other.svg"])
    assert {path.name for path in Path().iterdir()} == {"schedule.png", "other.svg"}


def test_the_rates_are_those_of_the_run() -> None:
    from test_configs import config

    rates, steps_per_epoch = rates_of(config("data=iris", "scheduler=cosine", "trainer.max_steps=4"))
    assert rates == pytest.approx([0.001, 0.000853553, 0.0005, 0.000146447], rel=1e-4)
    assert steps_per_epoch == 9


def test_nothing_heavy_is_imported_before_the_command_line_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    before = "matplotlib.figure" in sys.modules
    assert "did you mean scheduler=cosine?" in refused(capsys, "scheduler=cosin")
    assert ("matplotlib.figure" in sys.modules) is before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trainer.max_time=1"], "no length to draw"),
        (["scheduler.warmup_steps=900", *SMALL], "a warmup of 900 steps is not shorter than the run (90 steps)"),
        (["-m", "seed=1,2"], "leave out -m"),
        (["--out"], "--out: needs a value"),
        (["--out", "nowhere/lr.png", *SMALL], "nowhere/lr.png"),
        (["--out", "lr.xyz", *SMALL], "xyz"),
        (["scheduler.warmup_steps=-1"], "must be at least 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, *words)
    assert line in message
    assert message.count("\n") == 1


def test_help_says_how_to_name_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schedule", "--help"])
    assert "--out FILE" in capsys.readouterr().out
