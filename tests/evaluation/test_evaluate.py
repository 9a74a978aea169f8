"""`dlkit evaluate` on a small model of each kind: its own splits, other data, its files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_sets
import torch
from PIL import Image
from sklearn import metrics

import dlkit
from dlkit.answers import in_own_unit, probabilities
from dlkit.cli import evaluate
from dlkit.evaluation.data import read
from dlkit.evaluation.outputs import outputs
from dlkit.trained import load

SMALL = ["callbacks=minimal", "trainer.epochs=4", "data.batch_size=19", "data.val_fraction=0.2"]
KINDS = {
    "image": ["data=image_folder", "data.root=own/pictures", "data.size=8", "model=cnn"],
    "text": ["data=text_csv", "data.path=own/texts.csv", "data.text=text", "data.label=kind", "model=lstm_text"],
    "speech": ["data=audio_folder", "data.root=own/sounds", "data.sample_rate=8000", "model=lstm_speech"],
    "table": ["data=table_csv", "data.path=own/table.csv", "data.target=size", "data.task=regression", "model=mlp"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of every kind, and a run trained a little on each."""
    place = tmp_path_factory.mktemp("runs")
    small_sets.own(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for kind, options in KINDS.items():
            dlkit.train([*options, *SMALL, f"run_dir={kind}"])
    return place


@pytest.fixture(autouse=True)
def in_that_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def report(*args: str, label: str = "test") -> dict[str, Any]:
    evaluate.main([*args, "--out", "found"])
    content: dict[str, Any] = json.loads(Path(f"found/evaluation-{label}.json").read_text())
    return content


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command that is a mistake is answered with."""

    def answer(*args: str) -> str:
        with pytest.raises(SystemExit) as caught:
            evaluate.main(list(args))
        assert caught.value.code == 2
        return capsys.readouterr().err

    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_figures_are_those_at_the_end_of_training_to_the_last_digit(kind: str, split: str) -> None:
    then = json.loads(Path(kind, "result.json").read_text())["metrics"]
    now = report(kind, "--split", split, label=split)["metrics"]
    assert now == {name: value for name, value in then.items() if name.startswith(f"{split}/")}


@pytest.mark.parametrize("kind", ["image", "text", "speech"])
def test_figures_of_classes_are_scikit_learns(kind: str) -> None:
    found = report(kind)
    trained = load(kind)
    answers = outputs(trained, read(trained), ["test"])
    p = probabilities(trained.measure.loss, answers.out.double())
    assert p is not None
    y, guess = answers.y.numpy(), p.argmax(1).numpy()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, guess))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, guess, average="macro", zero_division=0))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p.numpy(), labels=[0, 1]))
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(y, p[:, 1].numpy()))
    assert found["log_loss"] == pytest.approx(found["metrics"]["test/loss"], rel=1e-5)
    assert found["confusion"] == metrics.confusion_matrix(y, guess, labels=[0, 1]).tolist()


def test_figures_of_numbers_are_in_their_own_unit_and_scikit_learns() -> None:
    found, trained = report("table"), load("table")
    answers = outputs(trained, read(trained), ["test"])
    y, out = in_own_unit(trained.spec, answers.y).numpy(), in_own_unit(trained.spec, answers.out).numpy()
    assert set(y.ravel().round(3)) <= {0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5}
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(y, out))
    assert found["r2"] == pytest.approx(metrics.r2_score(y, out))
    assert found["rmse"] == pytest.approx(found["metrics"]["test/rmse"], rel=1e-5)


def test_answers_are_in_the_order_of_the_examples_where_batches_go_by_length() -> None:
    trained = load("speech")
    seen = read(trained)
    assert seen.data.order("test").tolist() != list(range(seen.data.split_sizes["test"]))
    answers = outputs(trained, seen, ["test"])
    for row in range(4):
        alone = trained.outputs(trained.encoder.encode(seen.raw("test", torch.tensor([row]))).padded(torch.tensor([0])))
        assert torch.allclose(answers.out[row], alone[0], atol=1e-5)


def test_the_worst_errors_name_their_files_and_show_their_texts() -> None:
    wrong = report("speech", "--split", "all", label="all")["worst"]
    trained = load("speech")
    assert wrong
    for row in wrong:
        path = Path("own/sounds", row["name"])
        assert path.parent.name == row["true"]
        assert trained.predict(path).label == row["predicted"]
    report("text", "--split", "all", label="all")
    lines = Path("own/texts.csv").read_text().splitlines()
    for row in csv.DictReader(Path("found/worst-all.csv").read_text().splitlines()):
        name, _, line = row["name"].rpartition(":")
        assert name == "texts.csv"
        assert next(csv.reader([lines[int(line) - 1]])) == [row["text"], row["true"]]


def test_pictures_are_written_beside_the_figures() -> None:
    evaluate.main(["image", "--split", "all"])
    evaluate.main(["table"])
    drawn = {f"{name}-all.{ending}" for name in ("confusion", "reliability", "worst") for ending in ("png", "svg")}
    assert drawn | {"evaluation-all.json", "worst-all.csv"} <= {path.name for path in Path("image").iterdir()}
    assert {"predicted-test.png", "predicted-test.svg"} <= {path.name for path in Path("table").iterdir()}
    with Image.open("image/worst-all.png") as sheet:
        assert sheet.width > 500


def test_other_data_is_matched_by_the_names_of_classes() -> None:
    for name, kind in (("a.png", "dog"), ("b.png", "dog"), ("c.png", "cat")):
        Path("more", kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(f"own/pictures/{kind}/{'1' if kind == 'dog' else '0'}.png", f"more/{kind}/{name}")
    found = report("image", "data=image_folder", "data.root=more", label="more-all")
    assert [row["support"] for row in found["classes"]] == [1, 2]
    shutil.rmtree("more/cat")
    found = report("image", "data.root=more", label="more-all")  # the run's own choice, one class only
    assert [row["support"] for row in found["classes"]] == [0, 2]
    answer = load("image").predict("more/dog/a.png").label
    assert found["accuracy"] == (answer == "dog")


def test_another_file_is_evaluated_as_a_whole_with_the_columns_of_training() -> None:
    lines = Path("own/table.csv").read_text().splitlines()
    Path("new.csv").write_text("\n".join(["kind,note,size,colour", *[f"{c},x,{a},{b}" for a, b, c in
                               (line.split(",") for line in lines[1:])]]) + "\n")  # fmt: skip
    found = report("table", "data.path=new.csv", label="new-all")
    assert found["n"] == 60
    own = report("table", "--split", "all", label="all")
    assert found["mse"] == pytest.approx(own["mse"], rel=1e-5)


def test_a_stranger_among_the_classes_is_refused(refused: Callable[..., str]) -> None:
    Path("zoo/wolf").mkdir(parents=True)
    Path("zoo/cat").mkdir(parents=True)
    shutil.copy("own/pictures/cat/0.png", "zoo/wolf/0.png")
    shutil.copy("own/pictures/cat/0.png", "zoo/cat/0.png")
    answer = refused("image", "data.root=zoo")
    assert "wolf" in answer
    assert "zoo/wolf" in answer


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["image", "--split", "tset"], "--split tset"),
        (["image", "model=mlp"], "only data may change"),
        (["image", "data.roott=x"], "data.root"),
        (["image", "data=digits"], "digits|not known to the model"),
        (["image", "data=iris"], "data=iris: another kind of data; this model takes image inputs"),
        (["image", "--out", "own/texts.csv"], "--out own/texts.csv: a file"),
        ([], "arguments are required: RUN;"),
        (["nowhere"], "nowhere"),
        (["image", "--weights", "best-7"], "it has best, last"),
        (["image", "--splitt", "test"], "did you mean --split"),
    ],
)
def test_mistakes_are_answered_in_a_line(refused: Callable[..., str], args: list[str], said: str) -> None:
    answer = refused(*args)
    assert any(word in answer for word in said.split("|"))
    assert len(answer.strip().splitlines()) == 1


def test_a_run_that_was_moved_is_evaluated_where_it_is(tmp_path: Path) -> None:
    shutil.copytree("image", tmp_path / "elsewhere")
    then = json.loads(Path("image/result.json").read_text())["metrics"]["test/loss"]
    evaluate.main([str(tmp_path / "elsewhere")])
    found = json.loads((tmp_path / "elsewhere" / "evaluation-test.json").read_text())
    assert found["metrics"]["test/loss"] == then
