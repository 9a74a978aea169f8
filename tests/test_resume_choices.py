"""Interrupted and resumed, a run ends with the same bits whatever its optimiser, groups and rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_sets
from test_resume import StopAt, assert_same_bits, in_an_empty_folder, run

__all__ = ["in_an_empty_folder"]  # a fixture for every test here

RULES = [
    "callbacks.plateau.patience=1",
    "callbacks.plateau.min_delta=0.02",
    "callbacks.stop.weight_change=1e-9",
    "callbacks.output_std.enabled=true",
]
CHOICES = [
    ["optim=muon", "model.batch_norm=true", *RULES],
    ["optim=muon", "trainer.dtype=float16"],
    ["optim=adagrad", "optim.lr_scale={1.*:0.3}", "optim.layer_decay=0.8", "optim.weight_decay=0.01"],
    ["optim=rmsprop", "scheduler=one_cycle"],
    ["optim=gd", "scheduler=exponential", "scheduler.warmup_steps=2", "scheduler.warmup=cosine", "trainer.epochs=30"],
    ["init=lsuv", "optim=momentum", "optim.nesterov=true", "scheduler=wsd"],
]

SEQUENCES = [  # padded batches, what is drawn anew for each of them, and files read by workers
    ("text_csv", ["model=lstm_text", "model.units=8", "model.word_dropout=0.2"]),
    ("audio_folder", ["model=cnn_rnn_speech", "model.units=8", "model.channels=[4]", "model.augment.time_masks=1",
                      "data.augment.speed=0.1", "data.augment.noise=0.1", "data.cache=cache"]),
    ("image_folder", ["model=cnn", "model.channels=[4]", "data.memory_limit=1e-9", "data.workers=1",
                      "trainer.eval_every=12", "data.augment.mixup=0.2", "data.augment.shift=0.1", "data.cache=cache"]),
]  # fmt: skip


@pytest.mark.parametrize("words", CHOICES, ids=[" ".join(words[:2]) for words in CHOICES])
def test_an_interrupted_run_ends_with_the_same_bits(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(["data=iris", "trainer.epochs=4", *words], monkeypatch)


@pytest.mark.parametrize(("choice", "words"), SEQUENCES, ids=[choice for choice, _ in SEQUENCES])
def test_an_interrupted_run_on_files_of_ones_own_ends_with_the_same_bits(
    choice: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_sets.own(tmp_path)
    data = [f"data={choice}", *small_sets.options(choice, tmp_path), "data.batch_size=7"]
    interrupt([*data, "trainer.epochs=4", *words], monkeypatch)


def interrupt(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs it whole, and in three parts, and compares."""
    length = ["trainer.log_every=7", *words]
    assert run("run_dir=whole", *length) == 0
    with monkeypatch.context() as patch:
        StopAt(patch, 5)
        assert run("run_dir=parts", *length) == 143
    with monkeypatch.context() as patch:
        StopAt(patch, 17)
        assert run("resume=parts") == 143
    assert run("resume=parts") == 0
    assert_same_bits("whole", "parts")
