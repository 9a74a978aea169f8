"""What tab offers for the commands that take a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import make_run

from dlkit.cli import COMMANDS, completion

RUNS = ["latest", "outputs/2026-01-01/a", "outputs/b"]


@pytest.fixture(autouse=True)
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (*RUNS[1:], "outputs/with blank"):
        make_run(folder)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        *[
            (f"dlkit {command} ", RUNS)
            for command in ("evaluate", "predict", "landscape", "export", "reproduce", "info")
        ],
        ("dlkit info l", ["latest"]),
        ("dlkit info outputs/2", ["outputs/2026-01-01/a"]),
        ("dlkit evaluate outputs/b ", []),
        ("dlkit predict outputs/b some", []),
        ("dlkit list ", []),
    ],
)
def test_tab_offers_runs_for_the_first_word_and_leaves_the_rest_to_the_shell(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    completion.complete(["-sc", "query=bash"])
    assert capsys.readouterr().out.split() == offered


def test_every_command_completed_is_one() -> None:
    assert {*completion.OPTIONS, *completion.RUN} <= set(COMMANDS)
