"""Predictions from raw inputs: those of the test split's files are those of the encoded test split."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
import torch
import trained_runs
from PIL import Image
from torch import Tensor

import dlkit
from dlkit.data import Ragged, Texts
from dlkit.data.inputs.found import Inputs
from dlkit.data.prepare import load
from dlkit.parts import data_parts
from dlkit.predict import Prediction
from dlkit.run import Run
from dlkit.trained import Trained


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    makers = (trained_runs.pictures, trained_runs.texts, trained_runs.table, trained_runs.recordings)
    return {make.__name__: make(tmp_path_factory.mktemp(make.__name__)) for make in makers}


@pytest.fixture(scope="module")
def models(runs: dict[str, Run]) -> dict[str, Trained]:
    return {name: dlkit.load(run.folder) for name, run in runs.items()}


def encoded_outputs(model: Trained) -> tuple[Tensor, Tensor]:
    """Outputs and targets of the encoded test split, in the order of the source."""
    source, options = data_parts(model.config)
    data = load(source(), **options, seed=0, device="cpu", trained=model.fitted)
    batches = list(data.eval("test"))
    back = data.order("test").argsort()
    out = torch.cat([model.outputs(batch.x) for batch in batches])
    return out[back], torch.cat([batch.y for batch in batches])[back]


def predicted(model: Trained, words: list[str]) -> list[Prediction]:
    inputs: Inputs = model.predictor.inputs()
    return [one for batch in model.predictor.stream(inputs, inputs.stream(words), batch_size=5) for one in batch]


@pytest.mark.parametrize(("name", "split"), [("pictures", "test"), ("texts", "test.csv"), ("recordings", "test")])
def test_files_of_the_test_split_get_the_labels_and_probabilities_of_the_encoded_split(
    runs: dict[str, Run], models: dict[str, Trained], name: str, split: str
) -> None:
    model = models[name]
    found = predicted(model, [str(runs[name].folder.parent / "files" / split)])
    out, y = encoded_outputs(model)
    classes = model.spec.classes
    probabilities = torch.tensor([[one.probabilities[label] for label in classes] for one in found])
    torch.testing.assert_close(probabilities, model.measure.loss.probabilities(out), rtol=0, atol=1e-5)
    right = [one.label == classes[label] for one, label in zip(found, y.tolist(), strict=True)]
    assert sum(right) / len(right) == pytest.approx(runs[name].result["metrics"]["test/accuracy"])


def test_rows_of_the_test_split_get_numbers_in_the_targets_unit(
    runs: dict[str, Run], models: dict[str, Trained]
) -> None:
    run, model = runs["table"], models["table"]
    found = predicted(model, [str(run.folder.parent / "files" / "test.csv")])
    lines = (run.folder.parent / "files" / "test.csv").read_text().splitlines()[1:]
    errors = [one.values[0] - float(line.split(",")[0]) for one, line in zip(found, lines, strict=True)]
    rmse = math.sqrt(sum(error**2 for error in errors) / len(errors))
    assert rmse == pytest.approx(run.result["metrics"]["test/rmse"], rel=1e-5)
    assert found[0].input.endswith("test.csv:2")


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("texts", ["dull", "a film, lovely lovely fine warm great and long", "cold"]),
        ("recordings", [sounds.tone(seconds, 8000) for seconds in (0.05, 0.4, 0.12)]),
    ],
)
def test_a_prediction_does_not_depend_on_its_neighbours(
    models: dict[str, Trained], name: str, inputs: list[Any]
) -> None:
    together = models[name].predict(inputs)
    assert isinstance(together, list)
    for one, given in zip(together, inputs, strict=True):
        alone = models[name].predict(given)
        assert isinstance(alone, Prediction)
        assert alone.probabilities == pytest.approx(one.probabilities, abs=1e-5)


def test_long_sequences_are_padded_in_parts(models: dict[str, Trained], monkeypatch: pytest.MonkeyPatch) -> None:
    given = [sounds.tone(seconds, 8000) for seconds in (0.05, 0.4, 0.12, 0.3)]
    whole = models["recordings"].predict(given)
    monkeypatch.setattr("dlkit.predict.LARGEST", 4000)
    assert [one.probabilities for one in models["recordings"].predict(given)] == [
        pytest.approx(one.probabilities, abs=1e-5) for one in whole
    ]


def test_a_picture_is_a_path_an_image_or_an_array(runs: dict[str, Run], models: dict[str, Trained]) -> None:
    path = runs["pictures"].folder.parent / "files" / "test" / "dark" / "0.png"
    model, image = models["pictures"], Image.open(path)
    expected = model.predict(path)
    assert isinstance(expected, Prediction)
    assert expected.input == str(path)
    pixels = np.array(image)
    for given in (str(path), image, pixels, torch.from_numpy(pixels).permute(2, 0, 1)):
        found = model.predict(given)
        assert isinstance(found, Prediction)
        assert (found.label, found.probabilities) == (expected.label, expected.probabilities)
    assert [one.input for one in model.predict([str(path), path])] == [str(path)] * 2
    assert len(model.predict(np.stack([pixels, pixels]))) == 2


def test_raw_containers_give_a_list(models: dict[str, Trained]) -> None:
    waves = [sounds.tone(0.1, 8000), sounds.tone(0.2, 8000)]
    assert models["recordings"].predict(Ragged.of(waves)) == models["recordings"].predict(waves)
    found = models["texts"].predict(Texts(["dull"]))
    assert [one.probabilities for one in found] == [models["texts"].predict("dull").probabilities]
    assert models["texts"].predict([]) == []


def test_a_row_is_a_dict_or_a_row_of_a_frame(models: dict[str, Trained]) -> None:
    class Frame:  # what is used of a pandas DataFrame
        columns = ("rooms", "area", "colour")

        def to_dict(self, orient: str) -> list[dict[str, Any]]:
            return [{"rooms": math.nan, "area": 30.0, "colour": "red"}] * 2

    model = models["table"]
    row = {"colour": "red", "rooms": None, "area": np.float32(30), "owner": "ann"}
    one = model.predict(row)
    assert isinstance(one, Prediction)
    assert one.value == one.values[0]
    assert [each.value for each in model.predict([row, row])] == pytest.approx([one.value] * 2)
    assert [each.value for each in model.predict(Frame())] == pytest.approx([one.value] * 2)
    with pytest.raises(ValueError, match="no column area; the model takes rooms, area, colour"):
        model.predict({"rooms": 1, "colour": "red"})
    with pytest.raises(ValueError, match="'many' in column rooms, which holds numbers in training"):
        model.predict({"rooms": "many", "colour": "red", "area": 3})


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("pictures", "nothing.png", "nothing.png: cannot be read"),
        ("pictures", np.zeros((5, 5)), r"an array \(5, 5, 1\) of torch.float64: expected uint8"),
        ("pictures", 3.0, "expected uint8"),
        ("recordings", "nothing.wav", "nothing.wav: cannot be read as audio"),
        ("recordings", np.zeros(500, dtype=np.int16), r"expected samples \(T,\) in \[-1, 1\], at 8000 Hz"),
        ("texts", 3, r"a int: expected a text"),
        ("table", [1.0, 2.0], "expected a dict by column, rooms, area, colour"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(models: dict[str, Trained], name: str, given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        models[name].predict(given)


def test_a_prediction_is_shown_on_a_short_line() -> None:
    assert repr(Prediction("a.png", "cat", {"cat": 0.98123, "dog": 0.01877})) == (
        "Prediction('a.png', label='cat', probability=0.9812)"
    )
    assert repr(Prediction(values=(2.0,))) == "Prediction(value=2)"
    assert repr(Prediction(values=(2.0, 1 / 3))) == "Prediction(values=(2, 0.3333))"


def test_a_margin_loss_gives_scores_of_all_classes(tmp_path: Path) -> None:
    quick = ["data=iris", "model=mlp", "loss=hinge", "trainer.epochs=2", "callbacks=minimal", f"run_dir={tmp_path}/r"]
    dlkit.train(quick)
    model = dlkit.load(tmp_path / "r")
    rows = torch.tensor([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]])
    found = model.predict(rows)
    assert isinstance(found, list)
    assert found[0].probability is None
    assert [one.score for one in found] == [max(one.scores.values()) for one in found]
    assert model.predict(rows[1].numpy()).scores == pytest.approx(found[1].scores, abs=1e-5)


def test_an_encoder_of_ones_own_takes_raw_examples_only(models: dict[str, Trained]) -> None:
    class Own(type(models["pictures"].encoder)):  # type: ignore[misc]
        pass

    predictor = models["pictures"].predictor
    predictor.encoder = Own()
    predictor.encoder.load_state_dict(models["pictures"].encoder.state_dict())
    raw = torch.randint(0, 256, (70, 3, 8, 8), dtype=torch.uint8)
    assert predictor(raw) == models["pictures"].predict(raw)
    with pytest.raises(ValueError, match=r"data.encoder=.*Own: what files it takes is not known"):
        predictor("a.png")
