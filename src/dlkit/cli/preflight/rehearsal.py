"""Whether the parts of a sweep's jobs fit together, tried before the first one starts."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from time import monotonic
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from dlkit import final, runtime
from dlkit.build import Experiment, begin_from, rehearse, run_length
from dlkit.losses import Margin
from dlkit.metrics import metrics_for
from dlkit.mistakes import cause, is_mistake
from dlkit.parts import (
    build_callbacks,
    build_data,
    build_final,
    build_loss,
    build_model,
    build_optim,
    build_schedule,
)
from dlkit.state import State
from dlkit.types import Batch, Data, Spec

READING = 20.0  # seconds after which no other data is read: jobs that want that will tell themselves
OF_DATA = ("data", "trainer.overfit_batches", "trainer.limit_batches")
OF_MODEL = (*OF_DATA, "loss", "model", "init", "init_from", "freeze", "trainer.accumulate", "trainer.channels_last")
T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """What is kept of a data set: what it promises, and two examples."""

    spec: Spec
    batch: Batch
    batch_size: int
    steps_per_epoch: int
    split_sizes: dict[str, int]

    def use_channels_last(self) -> None:
        pass


class Rehearsal:
    """Builds what a run builds, each part once for equal options of the nodes that it is made of.

    The model and its first step are on the meta device, which takes neither memory nor arithmetic, or on the CPU where
    a model must look at numbers. `here`: whether the jobs will run on this machine; another one may have data and
    devices that this one lacks.
    """

    def __init__(self, here: bool = True) -> None:
        self.here = here
        self.known: dict[tuple[str, ...], tuple[Any, str]] = {}  # a part, or why there is none
        self.texts: dict[int, tuple[Any, str]] = {}
        self.reading = 0.0  # seconds

    def mistakes(self, config: dict[str, Any]) -> list[str]:
        """A line for each part of the config that cannot be built; of parts made of such a part nothing is said."""
        lines: list[str] = []
        cfg = cache(lambda: OmegaConf.create(config))  # 10 ms, where something is new

        def part(name: str, options: Sequence[str], build: Callable[[DictConfig], T]) -> T | None:
            key = (name, *(self._text(_at(config, option)) for option in options))
            if key not in self.known:
                self.known[key] = _tried(name, build, cfg())
            made, line = self.known[key]
            lines.extend([line] if line else [])
            return cast("T | None", made)

        sample = part("data", OF_DATA, self._read)
        if not self.here:
            lines.clear()
        else:
            part("trainer", ["trainer"], lambda cfg: runtime.setup(instantiate(cfg.trainer)))
        part("regularizer", ["regularizer"], lambda cfg: instantiate(cfg.regularizer, _convert_="all"))
        if sample is None:
            return lines
        model = part("model", OF_MODEL, lambda cfg: _anywhere(lambda device: _model(cfg, sample, device)))
        part("scheduler", [*OF_DATA, "trainer", "scheduler"], lambda cfg: _schedule(cfg, sample))
        part("callbacks", [*OF_DATA, "trainer", "loss", "callbacks", "final"], lambda cfg: _callbacks(cfg, sample))
        if model is not None:
            part(
                "optim", [*OF_MODEL, "optim"], lambda cfg: _anywhere(lambda device: _optim(cfg, sample, model, device))
            )
        return list(dict.fromkeys(lines))

    def _text(self, node: Any) -> str:
        """The options of a node as text; most configs share most nodes."""
        if id(node) not in self.texts:
            self.texts[id(node)] = node, json.dumps(node, default=str)  # with the node, which keeps its id
        return self.texts[id(node)][1]

    def _read(self, cfg: DictConfig) -> Sample | None:
        if self.reading > READING:
            return None
        since = monotonic()
        data = build_data(cfg, instantiate(cfg.trainer), torch.device("cpu"))
        first = next(data.train(0))
        batch = Batch(first.x[:2].clone(), first.y[:2].clone())
        self.reading += monotonic() - since
        return Sample(data.spec, batch, data.batch_size, data.steps_per_epoch, dict(data.split_sizes))


def _at(config: Any, option: str) -> Any:
    for name in option.split("."):
        config = (config or {}).get(name)
    return config


def _tried(name: str, build: Callable[[DictConfig], T], cfg: DictConfig) -> tuple[T | None, str]:
    """The part, or a line that says why there is none."""
    try:
        return build(cfg), ""
    except Exception as error:
        found = cause(error)
        if cfg.debug:
            traceback.print_exception(found)
        if is_mistake(found):
            return None, str(found)
        return None, f"{name}: {type(found).__name__}: {(str(found).strip().splitlines() or [''])[0]}"


def _anywhere(build: Callable[[str], T]) -> T:
    """What is built on the meta device, else on the CPU, whose errors count."""
    try:
        return build("meta")
    except Exception:
        return build("cpu")


def _model(cfg: DictConfig, sample: Sample, device: str) -> nn.Module:
    """The model as it is at the start, tried on two examples."""
    with torch.device(device):
        loss = build_loss(cfg, sample.spec)
        batch = Batch(sample.batch.x.to(device), sample.batch.y.to(device))
        trainer = instantiate(cfg.trainer)
        model = build_model(cfg, cast(Data, sample), loss, batch, trainer, torch.device(device))
        begin_from(cfg, model, None)
        rehearse(model, loss, batch)
    return model.to("meta")


def _optim(cfg: DictConfig, sample: Sample, model: nn.Module, device: str) -> None:
    build_optim(cfg, model if device == "meta" else _model(cfg, sample, device))


def _schedule(cfg: DictConfig, sample: Sample) -> None:
    total = run_length(instantiate(cfg.trainer), sample.steps_per_epoch)
    build_schedule(cfg, total, sample.steps_per_epoch)


def _callbacks(cfg: DictConfig, sample: Sample) -> None:
    """Callbacks, and the final model, for which some of them keep weights."""
    trainer = instantiate(cfg.trainer)
    state = SimpleNamespace(parts={}, total_steps=run_length(trainer, sample.steps_per_epoch))
    callbacks = build_callbacks(cfg, trainer, cast(State, state))
    metrics = metrics_for(sample.spec, margins=isinstance(build_loss(cfg, sample.spec), Margin))
    for callback in callbacks:
        callback.check([f"val/{name}" for name in ("loss", *metrics)] if "val" in sample.split_sizes else [])
    parts = SimpleNamespace(final=build_final(cfg), data=sample, state=state, callbacks=callbacks)
    final.check(cast(Experiment, parts))
