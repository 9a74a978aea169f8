"""Short runs whose panels draw whenever they are asked: by their allowance of time they would at the end alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dlkit
from dlkit.callbacks.panels.panel import Allowance
from dlkit.run import Run


@contextmanager
def always() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Allowance, "grants", lambda allowance, state: True)
        yield


def digits(folder: Path) -> Run:
    """A CNN with all panels: 144 validation images of 8 × 8, two evaluations, eight logs."""
    words = ["data=digits", "model=cnn", "callbacks=everything", "callbacks.progress=null", "trainer.device=cpu"]
    with always():
        return dlkit.train([*words, "trainer.epochs=2", "trainer.log_every=10", f"run_dir={folder}"])
