"""The first look at the data, as a run prints it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkit.cli import train
from dlkit.data import Examples, Ragged
from dlkit.data.prepare import load
from dlkit.data.scale import Scale
from dlkit.log import console
from dlkit.look import class_counts, class_table, inputs, lengths_line, padding, summed_up, target_lines, warnings
from dlkit.types import Data

OPTIONS: dict[str, Any] = {"batch_size": 4, "val_fraction": 0.0, "split_seed": 0}


class Same(Scale):
    """An encoder that changes nothing."""

    def fit(self, raw: Any) -> None:
        pass

    def encode(self, raw: Any, device: Any = "cpu") -> Any:
        return raw

    def promises(self) -> dict[str, Any]:
        return {}


def data(examples: Examples, **options: Any) -> Data:
    return load(examples, 0, "cpu", encoder=Same(), **{**OPTIONS, "test_fraction": 0.5, **options})


def recordings() -> Data:
    values = Ragged.of(torch.ones(n) for n in range(1, 102))
    examples = Examples("waveform", "classification", {"train": (values, torch.arange(101) % 2)}, sample_rate=10)
    return data(examples, test_fraction=0.0, batch_size=101)


def test_counts_are_those_of_each_class_in_each_split() -> None:
    x, y = torch.zeros(16, 1), torch.tensor([0] * 12 + [1] * 4)
    assert class_counts(data(Examples("tabular", "classification", {"train": (x, y)}))) == {
        "train": [6, 2],
        "test": [6, 2],
    }


def shown(table: Any) -> str:
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_few_classes_are_a_table_across_or_down_as_their_names_allow() -> None:
    lines = shown(class_table({"train": [1000, 2], "test": [3, 4]}, ("cat", "dog"))).splitlines()
    assert [line.split() for line in lines] == [["classes", "cat", "dog"], ["train", "1,000", "2"], ["test", "3", "4"]]
    names = tuple(letter * 60 for letter in "ab")
    lines = shown(class_table({"train": [1000, 2], "test": [3, 4]}, names)).splitlines()
    assert [line.split()[1:] for line in lines] == [["train", "test"], ["1,000", "3"], ["2", "4"]]


def test_many_classes_are_summed_up() -> None:
    line = summed_up({"train": [5, 1, 2000, 7, 3], "val": [0, 1, 1, 1, 1]})
    assert line == "classes train 1, 5, 2,000; val 0, 1, 1 examples of a class (least, median, most)"


def test_classes_that_a_split_lacks_and_single_examples_are_warned_of() -> None:
    counts = {"train": [5, 1, 0], "val": [0, 0, 3]}
    assert warnings(counts, ("a", "b", "c")) == [
        "class c has no example in train",
        "classes a, b have no example in val",
        "class b has one example only",
    ]
    assert warnings({"train": [2, 2]}, ("a", "b")) == []
    (many,) = warnings({"train": [0] * 8 + [2]}, tuple("abcdefghi"))
    assert many == "classes a, b, c, d, e and 3 more have no example in train"


def test_lengths_are_told_in_seconds_of_recordings_and_in_tokens_of_texts() -> None:
    sounds = recordings()
    lengths = sounds.lengths("train")
    assert lengths is not None
    assert lengths_line(sounds, lengths) == "0.1, 5.1, 9.6, 10.1 s (least, median, 95 %, most)"
    assert inputs(sounds) == "recordings of at most 10.1 s at 10 Hz"

    class Words(Same):
        def promises(self) -> dict[str, Any]:
            return {"kind": "tokens", "vocab_size": 4000}

    examples = Examples("image", "classification", {"train": (torch.zeros(8, 1, 2, 2), torch.arange(8))})
    texts = load(examples, 0, "cpu", encoder=Words(), **OPTIONS, test_fraction=0.0)
    assert lengths_line(texts, torch.arange(1, 2002)) == "1, 1,001, 1,901, 2,001 tokens (least, median, 95 %, most)"
    assert inputs(texts) == "texts of at most 1 tokens, vocabulary 4,000"


@pytest.mark.parametrize("scale", [True, False])
def test_numbers_as_targets_are_told_in_their_own_unit(scale: bool) -> None:
    y = torch.tensor([10.0, 20.0, 30.0, 40.0]).unsqueeze(1)
    (line,) = target_lines(
        data(Examples("tabular", "regression", {"train": (y, y)}), test_fraction=0.0, scale_target=scale)
    )
    assert line == "mean 25, deviation 11.18, from 10 to 40"
    wide = data(Examples("tabular", "regression", {"train": (y, y.repeat(1, 7))}), test_fraction=0.0)
    assert target_lines(wide)[-1] == "… and 3 more"
    assert len(target_lines(wide)) == 5


def test_padding_is_nan_in_recordings_and_zero_in_tokens_only() -> None:
    sounds = recordings()
    assert padding(sounds, torch.tensor([[1.0, torch.nan]])).tolist() == [[False, True]]
    assert not padding(sounds, torch.tensor([[1, 0]])).any()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


SETS = """
import torch
from dlkit.data import Examples, Ragged, Table, Texts

def images(*, count: int) -> Examples:
    x = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8)
    return Examples("image", "classification", {"train": (x, torch.arange(count) % 2)}, ("cat", "dog"))

def table(*, count: int) -> Examples:
    words = [["red", "green"][i % 2] for i in range(count)]
    x = Table(torch.rand(count, 2).double(), [words], ["a", "b", "colour"])
    y = torch.arange(float(count)).unsqueeze(1)
    return Examples("tabular", "regression", {"train": (x, y)}, notes=("left out 2: no target",))

def texts(*, count: int) -> Examples:
    x = Texts([f"this is text {i} of some {'good' if i % 2 else 'bad'}" + " ones" * (i % 11) for i in range(count)])
    return Examples("text", "classification", {"train": (x, torch.arange(count) % 2)}, ("bad", "good"))

def sounds(*, count: int) -> Examples:
    x = Ragged.of(torch.rand(2000 + 500 * (i % 11)) - 0.5 for i in range(count))
    return Examples("waveform", "classification", {"train": (x, torch.arange(count) % 2)}, sample_rate=8000)
"""
KINDS = [
    ("images", "cnn", ["image 1 x 8 x 8, 2 classes", "cat", "dog"], False),
    ("table", "mlp", ["tabular 4, 1 target(s)", "left out 2: no target", "target  mean", "deviation"], False),
    ("texts", "lstm_text", ["texts of at most", "lengths ", "bad", "good"], True),
    ("sounds", "lstm_speech", ["recordings of at most 0.875 s at 8,000 Hz", "lengths 0.25, "], True),
]


@pytest.mark.parametrize(("kind", "model", "pieces", "padded"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_users_own_set_of_every_kind_trains_from_a_file_without_encoder(
    kind: str, model: str, pieces: list[str], padded: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my_sets.py").write_text(SETS)
    Path("mine/data").mkdir(parents=True)
    Path(f"mine/data/own_{kind}.yaml").write_text(f"# Mine.\n_target_: my_sets.{kind}\ncount: 57\nbatch_size: 8\n")
    choices = ["--config-dir=mine", f"data=own_{kind}", f"model={model}", "trainer.max_steps=2"]
    for extra in ("dry_run=true", "run_dir=r"):
        with pytest.raises(SystemExit) as end:
            train.main([*choices, extra])
        assert not end.value.code
        text = capsys.readouterr().out
        for piece in pieces:
            assert piece in text
        if extra == "dry_run=true":
            assert ("padding " in text) is padded
            assert "nan" not in text
    assert json.loads(Path("r/result.json").read_text())["step"] == 2
