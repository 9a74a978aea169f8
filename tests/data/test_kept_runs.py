"""Whole runs on files that are streamed, with and without their decoded examples kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_sets
import torch

import dlkit


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("image_folder", ["model=cnn", "model.channels=[4]", "data.augment.shift=0.1"]),
        ("audio_folder", ["model=cnn_rnn_speech", "model.units=8", "model.channels=[4]", "data.seconds=0.1"]),
    ],
)
def test_a_run_has_the_same_bits_whether_decoded_examples_are_kept_or_not(
    choice: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlkit.data.reading.workers.SAMPLE", 3)
    small_sets.own(tmp_path)
    common = [f"data={choice}", *small_sets.options(choice, tmp_path), *words, "callbacks=minimal"]
    common += ["data.memory_limit=1e-9", "data.workers=0", "data.batch_size=7", "data.cache=cache", "trainer.epochs=3"]

    def trained(*more: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        run = dlkit.train([*common, *more])
        return run.result["metrics"], run.model.state_dict()

    plain = trained("data.cache_limit=0")
    assert not list(Path("cache").rglob("*.rows"))
    filling, filled = trained(), trained()
    assert len(list(Path("cache").rglob("*.rows"))) == 1
    for metrics, weights in (filling, filled):
        assert metrics == plain[0]
        assert all(torch.equal(weights[name], value) for name, value in plain[1].items())
