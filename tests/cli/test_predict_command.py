"""`dlkit predict`: what it prints, writes, reports and refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trained_runs

from dlkit.cli import main
from dlkit.cli.predictions import _shown
from dlkit.trained import load
from dlkit.types import Spec


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_runs.pictures(tmp_path_factory.mktemp("pictures")).folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_runs.texts(tmp_path_factory.mktemp("texts")).folder


@pytest.fixture(autouse=True)
def in_a_folder_with_pictures(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures.parent / "files" / "test", "test")


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[list[str], str]:
    """Lines on standard output, and what is on standard error."""
    capsys.readouterr()
    if code:
        with pytest.raises(SystemExit) as end:
            main(["predict", *words])
        assert end.value.code == code
    else:
        main(["predict", *words])
    printed = capsys.readouterr()
    return printed.out.splitlines(), printed.err


def test_a_line_an_input_with_its_most_probable_classes(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    out, err = said(capsys, str(pictures), "test/light/0.png", "test/dark")
    one = load(pictures).predict("test/light/0.png")
    (label, first), (other, second) = one.probabilities.items()
    assert out[0].split() == ["test/light/0.png", label, f"{first:.3f}", other, f"{second:.3f}"]
    assert [line.split()[0] for line in out[1:]] == [f"test/dark/{i}.png" for i in range(6)]
    assert err == ""
    assert said(capsys, str(pictures), "test/light/0.png", "--top", "1")[0][0].split() == [
        *("test/light/0.png", label, f"{first:.3f}")
    ]


def test_csv_and_json_lines_hold_the_same_probabilities(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    rows = list(csv.DictReader(said(capsys, str(pictures), "test", "--format", "csv", "--batch-size", "5")[0]))
    objects = [json.loads(line) for line in said(capsys, str(pictures), "test", "--format", "jsonl")[0]]
    assert list(rows[0]) == ["input", "label", "probability", "p(dark)", "p(light)"]
    assert len(rows) == len(objects) == 12
    for row, one in zip(rows, objects, strict=True):
        assert (row["input"], row["label"]) == (one["input"], one["label"])
        assert float(row["probability"]) == pytest.approx(one["probabilities"][one["label"]], abs=1e-5)
        assert float(row["p(dark)"]) == pytest.approx(one["probabilities"]["dark"], abs=1e-5)


def test_unreadable_inputs_are_told_and_passed_over(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    Path("bad.png").write_text("no picture")
    out, err = said(capsys, str(pictures), "bad.png", "test/light/0.png", "gone.png", code=1)
    assert len(out) == 1
    assert err.splitlines() == [
        "bad.png: not an image that Pillow reads, whatever its name says",
        "gone.png: no such file",
    ]
    out, err = said(capsys, str(pictures), "gone.png", "--out", "p.csv", code=2)
    assert (out, err) == ([], "gone.png: no such file\n")
    assert not Path("p.csv").exists()


def test_of_a_long_path_the_end_is_shown(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    long = Path("x" * 60, "light.png")
    long.parent.mkdir()
    long.write_bytes(Path("test/light/0.png").read_bytes())
    assert said(capsys, str(pictures), str(long))[0][0].startswith(f"…{str(long)[-59:]}  ")


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("word " * 20, "word " * 11 + "word…"),
        ("/data/" + "x" * 80 + "/reviews.txt:17", "…" + "x" * 44 + "/reviews.txt:17"),
    ],
)
def test_of_a_long_text_the_beginning_is_shown_but_of_a_line_in_a_file_its_number(name: str, cut: str) -> None:
    assert _shown(name, Spec("tokens", (0,), 2, "classification")) == cut


def test_the_content_of_a_picture_is_no_list_of_paths(
    capsys: pytest.CaptureFixture[str], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO(Path("test/light/0.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(content)))
    out, err = said(capsys, str(pictures), "-", code=2)
    assert (out, err) == ([], "-: no list of paths, but the content of a file; give its path, or paths, one a line\n")


def test_out_is_written_whole(capsys: pytest.CaptureFixture[str], pictures: Path) -> None:
    out, err = said(capsys, str(pictures), "test", "--format=csv", "--out", "new/p.csv")
    assert (out, err) == ([], "12 predictions: new/p.csv\n")
    assert len(Path("new/p.csv").read_text().splitlines()) == 13
    assert [path.name for path in Path("new").iterdir()] == ["p.csv"]


def test_texts_are_given_one_by_one_or_as_lines(
    capsys: pytest.CaptureFixture[str], texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = said(capsys, str(texts), "--text", "a film, lovely", "--text", "dull", "--format", "jsonl")
    assert [json.loads(line)["input"] for line in out] == ["a film, lovely", "dull"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a film, lovely\ndull\n"))))
    lines, _ = said(capsys, str(texts), "-", "--format", "jsonl")
    assert [json.loads(line)["label"] for line in lines] == [json.loads(line)["label"] for line in out]
    out, _ = said(capsys, str(texts), str(texts.parent / "files" / "test.csv"))
    assert len(out) == 15
    said(capsys, str(texts), str(texts.parent / "files" / "test.csv"), "--column", "opinion")


@pytest.mark.slow
def test_a_pipe_that_is_closed_early_ends_the_program_quietly(pictures: Path) -> None:
    code = (
        "import os, sys; r, w = os.pipe(); os.dup2(w, 1); os.close(w); os.close(r); from dlkit.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "predict", str(pictures), "test"]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"})
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "dlkit predict: no INPUT: name files or folders"),
        (("a.png", "--top", "0"), "argument --top: '0': must be a whole number, at least 1"),
        (("a.png", "--top", "2", "--format", "csv"), "--top: csv has a column for every class"),
        (("-", "-"), "- twice: there is one standard input"),
        (("a.png", "--fromat", "csv"), "--fromat: no such option; did you mean --format?"),
        (("--text", "well"), "--text: this model takes image inputs, no texts"),
        (("a.png", "--column", "x"), "--column=x: of texts only; this model takes image inputs"),
        (("test", "--weights", "best-7"), "--weights best-7"),
        (("test", "--out", "test"), "--out test: a folder; name a file"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    capsys: pytest.CaptureFixture[str], pictures: Path, words: tuple[str, ...], line: str
) -> None:
    out, err = said(capsys, str(pictures), *words, code=2)
    assert out == []
    assert line in err
    assert err.count("\n") == 1


def test_a_run_that_is_not_there_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = said(capsys, "nowhere", "a.png", code=2)
    assert err.startswith("nowhere: there is no run")
