"""`callbacks=everything` on every kind of data: what there is to see of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from events import images, tags

import dlkit

CLASSES, NUMBERS = {"val/confusion", "val/reliability"}, {"val/predicted"}
KINDS = {  # the model, images of this kind of task, and whether classes have curves
    "digits": ("cnn", CLASSES, True),
    "iris": ("mlp", CLASSES, True),
    "diabetes": ("mlp", NUMBERS, False),
    "cldr_names": ("cnn_text", CLASSES, True),
    "vowels": ("cnn_speech", CLASSES, True),
    "synthetic": ("svm", {"val/confusion"}, False),
}


@pytest.mark.parametrize(
    "data", [pytest.param(data, marks=[] if data in ("digits", "diabetes") else pytest.mark.slow) for data in KINDS]
)
def test_every_kind_of_data_shows_what_its_task_has(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, expected, curves = KINDS[data]
    short = [
        "trainer.max_steps=3",
        "trainer.limit_batches=3",
        *(["data.examples=300", "data.batch_size=20"] if data == "vowels" else []),
    ]
    dlkit.train([f"data={data}", f"model={model}", "callbacks=everything", *short, "run_dir=r"])
    assert json.loads(Path("r/result.json").read_text())["status"] == "finished"
    assert (CLASSES | NUMBERS) & images("r") == expected
    assert bool(tags("r", "pr_curve/")) is curves
    assert Path("r/projector_config.pbtxt").is_file()
