"""The gradients by depth of the lecture on deep nets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lecture_runs import train

from dlkit.lectures.finding import Done
from dlkit.lectures.vanishing_gradients import gradients
from dlkit.trained import load


def test_gradients_are_those_of_the_first_update(tmp_path: Path) -> None:
    """One step of plain descent at rate 1 moves the weights by their gradient; two steps apart, so of the second."""
    words = [
        "experiment=lectures/vanishing_gradients",
        "model.activation=tanh",
        "init=kaiming",
        "model.batch_norm=false",
    ]
    train([*words, "optim=sgd", "optim.lr=1e-3", "trainer.max_steps=1", "seed=0", "~callbacks.grad_clip"], tmp_path)
    run = Done(tmp_path / "0")
    before = initial_weights(run)
    after = [p for p in load(run.folder).model.parameters() if p.ndim == 2]
    moved = [(p - q).norm().item() / 1e-3 for p, q in zip(after, before, strict=True)]
    assert gradients(run) == pytest.approx(moved, rel=1e-2)


def initial_weights(run: Done) -> list[torch.Tensor]:
    from dlkit import runs
    from dlkit.build import build

    model = build(runs.completed(run.config), Path()).state.model
    return [p.detach() for p in model.parameters() if p.ndim == 2]
