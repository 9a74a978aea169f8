"""Interrupted and resumed, a run ends with the same bits whatever its optimiser, groups and rules."""

from __future__ import annotations

import pytest
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


@pytest.mark.parametrize("words", CHOICES, ids=[" ".join(words[:2]) for words in CHOICES])
def test_an_interrupted_run_ends_with_the_same_bits(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    length = ["data=iris", "trainer.epochs=4", "trainer.log_every=7", *words]
    assert run("run_dir=whole", *length) == 0
    with monkeypatch.context() as patch:
        StopAt(patch, 5)
        assert run("run_dir=parts", *length) == 143
    with monkeypatch.context() as patch:
        StopAt(patch, 17)
        assert run("resume=parts") == 143
    assert run("resume=parts") == 0
    assert_same_bits("whole", "parts")
