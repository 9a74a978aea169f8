"""A run that is built and evaluated but not trained, and a board that keeps what panels write."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dlkit.begin import start
from dlkit.build import Experiment, build
from dlkit.callbacks.panels.panel import Board
from dlkit.cli import resume
from dlkit.trainer import evaluate


def evaluated(*overrides: str) -> Experiment:
    """Built as by `dlkit train`, its validation outputs at hand as in `on_eval`."""
    checked = resume.check([*overrides, "callbacks=minimal"])
    assert checked.config is not None, checked.mistakes
    begin = start(checked.config, checked.choices)
    experiment = build(begin.config, begin.folder)
    state = experiment.state
    keep: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        evaluate(experiment.engine, state.eval_model, experiment.data.eval("val"), "val", keep)
    state.outputs = keep
    state.train_mode()
    return experiment


@dataclass
class Notes(Board):
    """Keeps by tag what is written."""

    writer: Any = None
    found: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = self

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self.found[tag] = np.asarray(Image.open(BytesIO(png)))

    def add_text(self, tag: str, text: str, step: int) -> None:
        self.found[tag] = text

    def add_audio(self, tag: str, samples: Tensor, step: int, rate: int) -> None:
        self.found[tag] = (samples, rate)


def table(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
