"""`dlkit find-lr`: what it prints and draws, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dlkit.cli import main

SMALL = ["data=digits", "optim=momentum", "trainer.device=cpu"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return [str(path) for path in Path().rglob("*")]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["find-lr", *words])
    assert end.value.code == 2
    assert files() == []
    return capsys.readouterr().err


def test_it_prints_a_word_to_paste_and_writes_nothing_but_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    main(["find-lr", *SMALL, "--steps", "50", "scheduler=cosine"])
    word, about = capsys.readouterr().out.splitlines()
    key, _, rate = word.partition("=")
    assert key == "optim.lr"
    assert 0.003 <= float(rate) <= 0.1
    assert about.startswith("least loss ")
    assert "; diverged at " in about
    assert about.endswith(" steps: lr-range.png")
    assert files() == ["lr-range.png"]
    assert Path("lr-range.png").read_bytes().startswith(b"\x89PNG")


def test_where_there_is_no_rate_to_suggest_it_says_why_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["find-lr", *SMALL, "--steps=12", "--from=1e-9", "--to=1e-8", "--out=flat.svg"])
    said = capsys.readouterr()
    assert end.value.code == 1
    assert said.err == "no rate to suggest: the loss never falls between 1e-09 and 1e-08: raise --to or --steps\n"
    assert said.out.endswith("did not diverge; 12 steps: flat.svg\n")
    assert files() == ["flat.svg"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--from=1", "--to=0.1"], "--from 1 --to 0.1: give rates 0 < --from < --to"),
        (["--from=0"], "--from 0 --to 10: give rates 0 < --from < --to"),
        (["--to=nan"], "--to nan: give rates"),
        (["--steps=9"], "--steps 9: too few to show anything; give 10 or more"),
        (["--steps=many"], "invalid int value: 'many'"),
        (["--from"], "argument --from: expected one argument"),
        (["--out=lr.gif"], "--out lr.gif: must end in .png, .svg, .pdf"),
        (["--out=nowhere/lr.png"], "--out nowhere/lr.png: there is no such folder"),
        (["-m", "seed=1,2"], "leave out -m"),
        (["--cfg", "job"], "takes the options of a run"),
        (["resume=outputs/run"], "resume=outputs/run: has no meaning for dlkit find-lr; leave it out"),
        (["dry_run=true"], "dry_run=True: has no meaning"),
        (["optim=adm"], "did you mean optim=adam?"),
        (["trainer.accumulate=64", *SMALL], "trainer.accumulate=64 is more than data.batch_size=32"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, *words)
    assert line in message
    assert message.count("\n") == 1


def test_mistakes_and_help_do_not_wait_for_torch() -> None:
    code = """
import sys
from dlkit.cli import main
for words in (["--help"], ["--steps=1"], ["optim=adm"]):
    try:
        main(["find-lr", *words])
    except SystemExit:
        pass
sys.exit("torch" in sys.modules or "matplotlib" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--from RATE" in done.stdout
