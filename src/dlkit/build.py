"""From the config to objects: every group's `_target_` is called with what only a run knows, then with its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from dlkit import dist, runtime
from dlkit.callbacks.base import Callback
from dlkit.captured import CapturedEngine
from dlkit.data.resident import ResidentData
from dlkit.ema import Ema
from dlkit.engine import Engine
from dlkit.log import log
from dlkit.losses import Margin
from dlkit.metrics import metrics_for
from dlkit.models.speech import Speech
from dlkit.parallel import ParallelEngine, Randomness
from dlkit.parts import build_callbacks, build_data, build_final, build_loss, build_model, build_optim, build_schedule
from dlkit.rng import TRAIN, seed_all
from dlkit.settings import Final, Trainer
from dlkit.state import OPEN_END, State
from dlkit.summary import Layer, layers
from dlkit.transfer import freeze, init_from
from dlkit.types import Batch, Data, Loss, Schedule

DEFAULT_EPOCHS = 20  # where neither trainer.epochs, max_steps nor max_time is set


@dataclass
class Experiment:
    """All that a run needs, ready for `fit`."""

    trainer: Trainer
    device: torch.device
    data: Data
    state: State
    engine: Engine
    schedule: Schedule
    callbacks: list[Callback]
    layers: list[Layer]
    eval_every: int
    final: Final


def build(
    cfg: DictConfig, folder: Path, saved: dict[str, Any] | None = None, like: Experiment | None = None
) -> Experiment:
    """Builds everything, tries it on two examples, and takes up the state `saved` by an earlier part of the run.

    `like` is another run with the same options of data, trainer and final, and a model of the same layers: what has
    been read and found out for it is not again, and the examples on the device are shared. Writes nothing. Raises
    ValueError for what cannot work.
    """
    with dist.together():
        trainer: Trainer = like.trainer if like else instantiate(cfg.trainer)
        device = like.device if like else runtime.setup(trainer)
    data = like.data.with_seed(cfg.seed) if like else build_data(cfg, trainer, device)  # type: ignore[attr-defined]
    if trainer.allocator:
        runtime.keep_freed_memory()
    loss = build_loss(cfg, data.spec)
    first = next(data.train(0))
    model = build_model(cfg, data, loss, first, trainer, device)
    begin_from(cfg, model, saved)
    rows = like.layers if like else rehearse(model, loss, first)
    if not like and features_once(model, data):
        first = next(data.train(0))
    state = build_state(cfg, folder, trainer, data, model, first)
    schedule = build_schedule(cfg, state.total_steps, data.steps_per_epoch)
    engine = build_engine(cfg, trainer, state, loss, device)
    state.data, state.measure = data, engine
    callbacks = build_callbacks(cfg, trainer, state)
    for callback in callbacks:
        callback.check([f"val/{name}" for name in ("loss", *engine.metrics)] if "val" in data.split_sizes else [])
    if trainer.compile:
        model.compile()
    seed_all(TRAIN, cfg.seed)  # dropout; whatever was drawn above
    if saved:
        take_up(state, saved)
    eval_every = trainer.eval_every or data.steps_per_epoch
    final = like.final if like else build_final(cfg)
    return Experiment(trainer, device, data, state, engine, schedule, callbacks, rows, eval_every, final)


def begin_from(cfg: DictConfig, model: nn.Module, saved: dict[str, Any] | None) -> None:
    """Old weights, and which of them stay as they are."""
    if saved:
        freeze(model, saved["frozen"])
    elif cfg.init_from is not None:
        fitted = init_from(model, Path(cfg.init_from))
        log.info("init_from %s: %d tensors fitted", cfg.init_from, len(fitted.taken))
        for name, why in fitted.left.items():
            log.info("  left out  %s: %s", name, why)
        for name in fitted.untouched:
            log.info("  new       %s", name)
        freeze(model, fitted.taken if cfg.freeze else [])
    elif cfg.freeze:
        raise ValueError("freeze=true has an effect only with init_from=DIR|FILE")


def take_up(state: State, saved: dict[str, Any]) -> None:
    """Loads a saved state. Raises ValueError where the config has changed so much that it does not fit."""
    if saved["step"] > state.total_steps:
        raise ValueError(
            f"{saved['step']:,} steps are made already, more than the {state.total_steps:,} now asked for by "
            "trainer.epochs or trainer.max_steps"
        )
    try:
        state.load_state_dict(saved)
    except (RuntimeError, ValueError, KeyError) as error:
        what = str(error).strip().splitlines()
        line = what[1].strip() if len(what) > 1 else what[0]
        raise ValueError(f"the saved state does not fit this config: {line}; to start anew use init_from=") from error


def build_state(cfg: DictConfig, folder: Path, trainer: Trainer, data: Data, model: nn.Module, first: Batch) -> State:
    """The optimiser over what is to be trained, and all that a resume will want."""
    optim = build_optim(cfg, model)
    total_steps = run_length(trainer, data.steps_per_epoch)
    state = State(model, optim, data.spec, folder, total_steps, data.steps_per_epoch, data.batch_size)
    state.config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    state.example = first.x[:2]
    state.parts["encoder"] = data.encoder
    if trainer.ema:
        state.parts["ema"] = Ema(model, trainer.ema)
    if dist.world() > 1:
        state.parts["randomness"] = Randomness()
    return state


def build_engine(cfg: DictConfig, trainer: Trainer, state: State, loss: Loss, device: torch.device) -> Engine:
    if trainer.capture and dist.world() > 1:
        raise ValueError("trainer.capture=true: is for one process, not for torchrun; leave it out")
    engine = CapturedEngine if trainer.capture else Engine if dist.world() == 1 else ParallelEngine
    return engine(
        state,
        loss,
        metrics_for(state.spec, margins=isinstance(loss, Margin)),
        instantiate(cfg.regularizer, _convert_="all"),
        device=device,
        dtype=getattr(torch, trainer.dtype),
        accumulate=trainer.accumulate,
        nan_guard=trainer.nan_guard,
    )


def features_once(model: nn.Module, data: Data) -> bool:
    """Replaces the waveforms on the device by the model's features of them, where these stay what they are.

    They do where no augmentation changes the waveforms. Every step and evaluation then starts from frames.
    """
    if isinstance(model, Speech) and isinstance(data, ResidentData) and data.augment is None:
        data.precompute(model.features)
        return True
    return False


def rehearse(model: nn.Module, loss: Loss, batch: Batch) -> list[Layer]:
    """Sends two examples through the model and the loss, so that what does not fit is found before the run begins."""
    x, y = batch.x[:2], batch.y[:2]
    rows, out = layers(model, x)
    shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    if shape != (len(y), loss.outputs):
        raise ValueError(f"the model gives {shape} for 2 examples; the loss wants (2, {loss.outputs})")
    per_example = loss(out, y)
    if per_example.shape != (len(y),):
        raise ValueError(f"the loss gives shape {tuple(per_example.shape)} for 2 examples; it must be one number each")
    return rows


def run_length(trainer: Trainer, steps_per_epoch: int) -> int:
    """Optimiser steps of the run: the least of what `epochs` and `max_steps` ask for."""
    bounded = trainer.max_steps or trainer.max_time
    epochs = trainer.epochs or (None if bounded else DEFAULT_EPOCHS)
    limits = [max(1, round(epochs * steps_per_epoch))] if epochs else []
    limits += [trainer.max_steps] if trainer.max_steps else []
    return min(limits, default=OPEN_END)
