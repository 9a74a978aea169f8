"""From the config to objects: every group's `_target_` is called with what only a run knows, then with its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from dlkit import dist, runtime
from dlkit.callbacks.base import Callback
from dlkit.callbacks.profiler import Profiler
from dlkit.callbacks.stopping import TimeLimit
from dlkit.captured import CapturedEngine
from dlkit.data.examples import Examples
from dlkit.data.prepare import load
from dlkit.data.resident import ResidentData
from dlkit.ema import Ema
from dlkit.engine import Engine
from dlkit.inits import finish
from dlkit.log import log
from dlkit.losses import Margin
from dlkit.making import expect, make, split_shared
from dlkit.metrics import metrics_for
from dlkit.models.speech import Speech
from dlkit.optim.groups import groups
from dlkit.parallel import ParallelEngine, Randomness
from dlkit.rng import INIT, TRAIN, seed_all
from dlkit.schedules import planned
from dlkit.settings import Final, Trainer
from dlkit.state import OPEN_END, State
from dlkit.summary import Layer, layers
from dlkit.transfer import freeze, init_from
from dlkit.types import Batch, Data, Loss, Schedule, Spec

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


def data_parts(cfg: DictConfig) -> tuple[Any, dict[str, Any]]:
    """The data source, still to be called, and the options of `load`, its encoder made where the config names one."""
    node, shared = split_shared(cfg.data, load)
    if target := shared.pop("encoder", None):
        node, options = split_shared(node, get_object(target))
        shared["encoder"] = get_object(target)(**options)
    return make(node), shared


def build_data(cfg: DictConfig, trainer: Trainer, device: torch.device) -> Data:
    source, shared = data_parts(cfg)
    with dist.one_first():
        return load(
            expect(Examples, "dlkit.data.Examples", "data", cfg.data, source()),
            **shared,
            seed=cfg.seed,
            device=device,
            overfit_batches=trainer.overfit_batches,
            limit_batches=trainer.limit_batches,
        )


def build_loss(cfg: DictConfig, spec: Spec) -> Loss:
    what = "an object with outputs, __call__ and probabilities, as dlkit.types.Loss says"
    loss: Loss = expect(Loss, what, "loss", cfg.loss, make(cfg.loss)(spec))
    return loss


def build_model(
    cfg: DictConfig, data: Data, loss: Loss, first: Batch, trainer: Trainer, device: torch.device
) -> nn.Module:
    """The model on its device, initialised."""
    seed_all(INIT, cfg.seed)
    made = make(cfg.model)(data.spec, loss.outputs)
    model: nn.Module = expect(nn.Module, "an nn.Module", "model", cfg.model, made)
    smallest = data.batch_size // dist.world() // trainer.accumulate
    if smallest < 1 and dist.world() > 1:
        least = dist.world() * trainer.accumulate
        raise ValueError(
            f"data.batch_size={data.batch_size}: is cut for {dist.world()} processes, trainer.accumulate="
            f"{trainer.accumulate} parts each; expected {least} or more"
        )
    if smallest < 1:
        raise ValueError(f"trainer.accumulate={trainer.accumulate} is more than data.batch_size={data.batch_size}")
    if smallest < 2 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        raise ValueError("batch norm needs two examples or more at a time: raise data.batch_size or lower accumulate")
    model.to(device)
    node, shared = split_shared(cfg.init, finish)
    for given in ("weights", "vectors"):
        if cfg.model.get(given) and node._target_ != "dlkit.inits.default":
            raise ValueError(f"model.{given}: this init would overwrite them; train with init=default")
    make(node)(model, first)
    finish(model, **shared)
    if uses_channels_last(model, trainer):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data.use_channels_last()
    return model


def uses_channels_last(model: nn.Module, trainer: Trainer) -> bool:
    return trainer.channels_last and any(isinstance(module, nn.Conv2d) for module in model.modules())


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


def build_optim(cfg: DictConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser; the rates of its groups are `initial_lr`, their own base rate, times the schedule."""
    node, shared = split_shared(cfg.optim, groups)
    made = make(node)(groups(model, node.get("weight_decay") != 0, **shared))
    optim: torch.optim.Optimizer = expect(torch.optim.Optimizer, "a torch.optim.Optimizer", "optim", node, made)
    for group in optim.param_groups:
        group.setdefault("initial_lr", group["lr"] * group.get("lr_scale", 1.0))
    return optim


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


def build_schedule(cfg: DictConfig, total_steps: int, steps_per_epoch: int) -> Schedule:
    """The factor on the base rates; what must know the run's length refuses one that has no end."""
    node, shared = split_shared(cfg.scheduler, planned)
    what = "a function of the steps done"

    def schedule(total: float) -> Schedule:
        made: Schedule = expect(Callable, what, "scheduler", node, make(node)(total))
        return made

    return planned(schedule, inf if total_steps == OPEN_END else total_steps, steps_per_epoch, **shared)


def build_callbacks(cfg: DictConfig, trainer: Trainer, state: State) -> list[Callback]:
    callbacks: dict[str, Callback] = {name: make(node)() for name, node in (cfg.get("callbacks") or {}).items() if node}
    for name, callback in callbacks.items():
        if not isinstance(callback, Callback):
            kind = type(callback).__name__
            raise ValueError(f"callbacks.{name}: {kind} is no callback; derive it from dlkit.callbacks.base.Callback")
    if trainer.max_time:
        callbacks = {"time_limit": TimeLimit(minutes=trainer.max_time), **callbacks}
    if trainer.profile:
        callbacks["profiler"] = Profiler()
    if dist.rank() > 0:
        callbacks = {name: callback for name, callback in callbacks.items() if not callback.writes}
    state.parts |= {f"callbacks.{name}": callback for name, callback in callbacks.items()}
    return list(callbacks.values())


def build_final(cfg: DictConfig) -> Final:
    """What is to be done at the end; the defaults in a config older than that."""
    final: Final = instantiate(cfg.final) if cfg.get("final") else Final()
    return final
