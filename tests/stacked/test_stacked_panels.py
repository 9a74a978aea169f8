"""Panels of runs that are trained as one model: what they can see is drawn, and nothing is changed by it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stacked_runs import apart, asked, built, together

from dlkit.build import Experiment
from dlkit.callbacks.panels.panel import Board

RUNS = ("data=digits", "model=cnn", "model.dropout=0.2", "trainer.max_steps=6", "trainer.eval_every=3")
VARIANTS = ("optim.lr=0.01", "optim.lr=0.001")


def trained_as_one(callbacks: str) -> list[Experiment]:
    runs = [built(one) for one in asked((*RUNS, f"callbacks={callbacks}"), VARIANTS, Path(callbacks))]
    for run in runs:
        run.state.folder.mkdir(parents=True)
    torch.manual_seed(0)
    together(runs)
    return runs


def test_panels_change_no_run_and_those_that_need_kept_outputs_are_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Board, "grants", lambda *_: True)
    pictures: list[str] = []
    monkeypatch.setattr(Board, "picture", lambda self, tag, png, step: pictures.append(tag))
    plain, seen = (trained_as_one(callbacks) for callbacks in ("minimal", "everything"))
    assert [apart(one, other) for one, other in zip(seen, plain, strict=True)] == [0, 0]
    assert pictures and not {tag for tag in pictures if tag.startswith("val/")} - {"val/samples"}
    points = [(run.state.folder / "projector" / "points.tsv").read_text() for run in seen]
    assert points[0] != points[1]
