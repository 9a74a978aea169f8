"""`dlkit lectures`, and the nested choices of an experiment that lectures are."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dlkit.cli import completion, help, lecture_pages, lectures
from dlkit.cli.lecture_pages import LARGEST, Lecture, page, small, write_docs
from dlkit.rundir import write_json
from dlkit.settings import config_folder
from dlkit.trust import Untrusted, is_allowed, refuse_untrusted

FINDING = {
    "figure": "dlkit.lectures.sparsity.figure",
    "claim": "A < B.",
    "holds": True,
    "checks": [
        {"what": "a | b", "expected": "at least 1", "values": {"0": 1.23456, "1": None}, "holds": True},
    ],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(name: str = "sparsity", holds: bool = True, options: tuple[str, ...] = ()) -> Lecture:
    """A lecture whose runs are over, with a picture."""
    from dlkit.plots.style import blank, save

    folder = Path("outputs/lectures") / name
    folder.mkdir(parents=True)
    checks = [check | {"holds": holds} for check in FINDING["checks"]]  # type: ignore[attr-defined]
    write_json(FINDING | {"holds": holds, "checks": checks}, folder / "finding.json")
    for ending in ("png", "svg"):
        save(blank(), folder / f"figure.{ending}")
    return Lecture.read(name, "A < B.\n\nMore `code`.", "x: 1  # y", options, folder)


def answer(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which the command refuses these words."""
    with pytest.raises(SystemExit) as end:
        lectures.main(words)
    assert end.value.code == 2
    return capsys.readouterr().err.strip()


def test_the_list_has_every_file_with_the_claim_of_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    lectures.main([])
    out = " ".join(capsys.readouterr().out.split())
    files = {file.stem for file in (config_folder() / "experiment" / "lectures").glob("*.yaml")}
    assert set(lectures.names()) == files
    assert all(f" {name} " in f" {out} " for name in files)
    assert "L1 makes weights exactly zero" in out


def test_a_mistyped_lecture_is_answered_with_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "sparsty: no such lecture; did you mean sparsity?" in answer(["sparsty"], capsys)
    assert "of which lectures?" in answer(["seed=0,1"], capsys)


def test_a_refused_option_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    assert "seed=-1: must be" in answer(["sparsity", "seed=-1"], capsys)
    assert not Path("outputs").exists()


def test_options_have_a_folder_of_their_own_but_not_those_of_how_it_runs() -> None:
    assert lectures._folder([]) == lectures.ROOT
    assert lectures._folder(["hydra.launcher.n_jobs=2", "trainer.device=cpu"]) == lectures.ROOT
    assert lectures._folder(["seed=0,1,2", "hydra.launcher.n_jobs=2"]) == lectures.ROOT / "seed=0,1,2"


def test_runs_of_another_file_are_not_taken_for_those_of_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    made("sparsity")
    Path("outputs/lectures/sparsity/lecture.yaml").write_text("an older one")
    assert "has runs of another sparsity.yaml; remove this folder" in answer(["sparsity"], capsys)


def test_when_one_fails_the_others_go_on_and_the_worst_exit_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {"approximation": 0, "sparsity": 1, "nonlinearity": 0}
    asked: list[str] = []

    def train(args: list[str]) -> None:
        asked.append(args[1].rpartition("/")[2])
        if asked[-1] == "approximation":
            raise ZeroDivisionError
        raise SystemExit(codes[asked[-1]])

    monkeypatch.setattr("dlkit.cli.train.main", train)
    with pytest.raises(SystemExit) as end:
        lectures.main(list(codes))
    assert asked == list(codes)
    assert end.value.code == 1


def test_a_signal_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def train(args: list[str]) -> None:
        asked.append(args[1])
        raise SystemExit(130)

    monkeypatch.setattr("dlkit.cli.train.main", train)
    with pytest.raises(SystemExit) as end:
        lectures.main(["sparsity", "nonlinearity"])
    assert (len(asked), end.value.code) == (1, 130)


@pytest.mark.slow
def test_a_contradicted_claim_of_a_sweep_gives_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        lectures.main(["learning_rates", "optim.lr=0.0003,0.001,0.28"])
    assert end.value.code == 1
    assert "DOES NOT HOLD: 2 of 6 checks" in capfd.readouterr().out
    content = Path("outputs/lectures").glob("*/index.html")
    assert "does not hold" in next(content).read_text()


def test_the_page_holds_pictures_claims_numbers_commands_and_files() -> None:
    good, bad = made("sparsity", options=("seed=0,1",)), made("nonlinearity", holds=False)
    missing = Lecture.read("approximation", "C.", "z: 1", (), Path("nowhere"))
    html = page([good, bad, missing], ["seed=0,1"])
    assert "1 of 2 claims hold, for each of the seeds 0, 1. 1 not drawn." in html
    assert "A &lt; B." in html
    assert "<code>code</code>" in html
    assert "1.235" in html
    assert "not finite" in html
    assert "python train.py experiment=lectures/sparsity seed=0,1" in html
    assert "x: 1  # y" in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)  # nothing beside it is needed
    (drawing, _) = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html)
    assert b"<svg" in base64.b64decode(drawing)


def test_the_readme_has_small_pictures_beside_it() -> None:
    path = write_docs([made()], ["all", "seed=0,1"], Path("docs"))
    assert path == Path("docs/README.md")
    text = path.read_text()
    assert "![A < B.](sparsity.png)" in text
    assert "| a \\| b | at least 1 | 1.235 | not finite | holds |" in text
    assert "`dlkit lectures all seed=0,1 --docs docs`" in text
    assert "`configs/experiment/lectures/NAME.yaml`" in text
    assert 0 < Path("docs/sparsity.png").stat().st_size <= LARGEST


def test_a_figure_without_checks_neither_holds_nor_fails() -> None:
    one = made()
    drawn = Lecture.read(one.name, one.claim, "x: 1", (), one.folder)
    drawn.finding["checks"] = []
    assert drawn.verdict == "drawn; these runs have nothing to check"
    assert "holds</span>" not in page([drawn], [])
    assert "0 of 0 claims hold." in page([drawn], [])


def test_the_readme_names_what_is_compared() -> None:
    swept = "hydra: {sweeper: {params: {optim.lr: '0.1,0.2', model.hidden: '[],[8]', seed: 1}}}"
    assert Lecture.read("x", "C.", swept, (), Path("nowhere")).compared == "`optim.lr=0.1,0.2`, `model.hidden=[],[8]`"
    assert Lecture.read("x", "C.", "x: 1", (), Path("nowhere")).compared == ""


def test_a_picture_that_is_too_large_gets_fewer_pixels() -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    Path("small.png").write_bytes(small(Path("noise.png"), largest=4000))
    assert Path("small.png").stat().st_size <= 4000
    with Image.open("small.png") as image:
        assert image.width / image.height == pytest.approx(3 / 4, abs=0.03)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("experiment=lectures/sparsty", "did you mean experiment=lectures/sparsity?"),
        ("experiment=lecture/sparsity", "did you mean experiment=lectures/sparsity?"),
        ("experiment=learning_rates", "did you mean experiment=lectures/learning_rates?"),
        ("experiment=spiral", "did you mean experiment=spirals?"),
        ("figure=nonsense.function", "figure=nonsense.function: there is no module nonsense"),
        ("figure=dlkit.lectures.sparsity.figur", "did you mean figure?"),
        ("figure=dlkit.lectures.sparsty.figure", "did you mean sparsity?"),
        ("figure=3", "must be text or null"),
    ],
)
def test_a_mistyped_lecture_or_figure_is_refused_in_a_line(
    command: str, said: str, refusal: Callable[[str], str]
) -> None:
    assert said in refusal(command)


def test_help_and_completion_know_nested_choices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "lectures/…" in help.page([config_folder()], "dlkit train")
    help.show(["experiment=lectures/sparsity"], config_folder())
    assert "regularizer.gamma" in capsys.readouterr().out
    assert completion.nested("experiment=lectures/spar") == ["experiment=lectures/sparsity"]
    assert completion.nested("lr=3") == []
    monkeypatch.setenv("COMP_LINE", "dlkit lectures spar")
    completion.complete(["-sc", "query=bash"])
    assert capsys.readouterr().out.split() == ["sparsity"]


def test_a_strangers_run_may_name_a_lectures_figure_and_no_other() -> None:
    assert is_allowed("dlkit.lectures.sparsity.figure")
    refuse_untrusted({"figure": "dlkit.lectures.sparsity.figure"}, Path())
    refuse_untrusted({"figure": None}, Path())
    for name in ("os.system", "dlkit.lectures.concluding.function", "dlkit.rundir.write_text"):
        with pytest.raises(Untrusted, match="figure="):
            refuse_untrusted({"figure": name}, Path())


def test_what_is_shown_of_a_number_says_when_it_was_not_finite() -> None:
    assert lecture_pages.number(None) == "not finite"
    assert json.loads(json.dumps(lecture_pages.number(0.5))) == "0.5"
