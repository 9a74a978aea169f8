"""Runs to be trained as one model, and the same runs alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from dlkit.build import Experiment, build
from dlkit.settings import config_folder
from dlkit.stacked.fit import Member, fit
from dlkit.stacked.lives import Asked
from dlkit.stacked.work import Teller, train
from dlkit.trainer import fit as fit_alone

DIGITS = ("data=digits", "callbacks=minimal", "trainer.max_steps=50")
SMALL = (*DIGITS, "model=mlp", "model.hidden=[8]")


def asked(words: Sequence[str], variants: Sequence[str], root: Path = Path("s")) -> list[Asked]:
    """A run for each variant, which is one or several options."""
    made = []
    for variant in variants:
        content, choices = composed((*words, *variant.split()))
        made.append(Asked(variant, content | {"run_dir": str(root / variant)}, choices, variant.split()))
    return made


@cache
def composed(options: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The resolved config, and the file chosen of each group."""
    with initialize_config_dir(str(config_folder()), version_base=None):
        config = compose("train", overrides=list(options), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    own: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))
    return own, dict(config.hydra.runtime.choices)


def built(one: Asked) -> Experiment:
    return build(OmegaConf.create(one.config), one.folder)


def together(runs: Sequence[Experiment]) -> None:
    """Trains them as one, without folders."""
    members = [Member(run) for run in runs]
    contexts = [member.course.running() for member in members]
    for context in contexts:
        context.__enter__()
    fit(members, lambda members, stack, errors: None)


def alone(run: Experiment) -> None:
    fit_alone(
        *(run.state, run.engine, run.data, run.schedule, run.callbacks),
        eval_every=run.eval_every,
        log_every=run.trainer.log_every,
    )


def apart(run: Experiment, other: Experiment) -> float:
    """The relative distance of their weights."""
    a, b = (torch.cat([p.detach().flatten() for p in one.state.model.parameters()]) for one in (run, other))
    return ((a - b).norm() / b.norm()).item()


class Heard(Teller):
    """What the work has told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[str] = []
        self.left: dict[str, str] = {}
        self.times: list[float] = []

    def begins(self, name: str) -> None:
        self.begun.append(name)

    def ended(self, name: str) -> None:
        self.over.append(name)

    def alone(self, names: Sequence[str], why: str) -> None:
        self.left |= dict.fromkeys(names, why)

    def gains(self, names: Sequence[str], times: float) -> None:
        self.times.append(times)


def trained(runs: Sequence[Asked]) -> Heard:
    heard = Heard()
    train(runs, heard)
    return heard


def result(one: Asked) -> dict[str, Any]:
    return json.loads((one.folder / "result.json").read_text())


def metrics(one: Asked) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (one.folder / "metrics.jsonl").read_text().splitlines()]
