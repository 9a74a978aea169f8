"""The runs of a lecture, made one after the other in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dlkit.cli.preflight import check
from dlkit.lectures.concluding import conclude
from dlkit.run import run
from dlkit.rundir import write_json
from dlkit.settings import config_folder


def train(words: Sequence[str], folder: Path) -> None:
    """Trains the jobs of this sweep, each in a folder of its own, as a sweep's launcher would."""
    checked = check(list(words), config_folder())
    assert not checked.mistakes
    points, composer = checked.points, checked.composer
    assert points is not None
    assert composer is not None
    jobs = list(points)
    write_json({"jobs": [{"name": str(i)} for i in range(len(jobs))]}, folder / "sweep.json")
    for i, job in enumerate(jobs):
        config, choices = composer.compose([*points.fixed, *job])
        run(OmegaConf.create(config | {"run_dir": str(folder / str(i))}), folder / str(i), choices=choices)


def found(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """What `conclude` finds in these runs."""
    train(words, folder)
    finding = conclude(folder)
    assert finding is not None
    return finding
