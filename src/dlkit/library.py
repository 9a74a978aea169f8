"""dlkit from Python: the same runs as from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlkit import trained
from dlkit.begin import start
from dlkit.cli import resume
from dlkit.run import Run, run
from dlkit.trained import Trained


def train(overrides: Sequence[str] = ()) -> Run:
    """Trains as `dlkit train …` does with these overrides, in a folder of its own, and returns the run.

    The same checks are made; a mistake raises ValueError with a line for each. What fails later raises too. A run that
    is interrupted or diverges (`run.result["status"]`) is returned like any other. `resume=…` works; a run that has
    ended already raises ValueError. Sweeps (`-m`) are for the command line.
    """
    if isinstance(overrides, str):
        raise ValueError(f'dlkit.train takes a list of options: ["{overrides}"]')
    checked = resume.check(list(overrides))
    if checked.config is None and not checked.mistakes:
        other = "a sweep, which `dlkit train` runs" if checked.trains_sweep else "something else"
        raise ValueError(f"dlkit.train trains one model; {' '.join(overrides)} asks for {other}")
    if checked.mistakes or checked.config is None:
        raise ValueError("\n".join(checked.mistakes))
    begin = start(checked.config, checked.choices)
    if begin.ended:
        raise ValueError(begin.ended)
    return run(begin.config, begin.folder, checked.overrides, begin.resumes, checked.choices)


def load(run: str | Path, *, weights: str | None = None, device: str | None = None, trust: bool = False) -> Trained:
    """The trained model of a run: its folder, or `latest`, the newest under `outputs`.

        model = dlkit.load("latest")
        model.predict("photo.png")  # Prediction('photo.png', label='cat', probability=0.98)
        model.model                 # the nn.Module

    `weights` names a checkpoint, `device` is cpu, cuda, mps or auto; without them it is the last one, on the run's own
    device. `trust` lets the run's config name any code. Raises ValueError where there is no such run or checkpoint.
    """
    return trained.load(run, weights=weights, device=device, trust=trust)
