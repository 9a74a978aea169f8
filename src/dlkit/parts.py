"""The parts of a run, one from each group of the config: its target gets what only a run knows, then its options."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig
from torch import nn

from dlkit import dist
from dlkit.callbacks.base import Callback
from dlkit.callbacks.profiler import Profiler
from dlkit.callbacks.stopping import TimeLimit
from dlkit.data.examples import Examples
from dlkit.data.prepare import load
from dlkit.inits import finish
from dlkit.making import expect, make, split_shared
from dlkit.optim.groups import groups
from dlkit.rng import INIT, seed_all
from dlkit.schedules import planned
from dlkit.settings import Final, Trainer
from dlkit.state import OPEN_END, State
from dlkit.types import Batch, Data, Loss, Schedule, Spec


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


def build_optim(cfg: DictConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser; the rates of its groups are `initial_lr`, their own base rate, times the schedule."""
    node, shared = split_shared(cfg.optim, groups)
    made = make(node)(groups(model, node.get("weight_decay") != 0, **shared))
    optim: torch.optim.Optimizer = expect(torch.optim.Optimizer, "a torch.optim.Optimizer", "optim", node, made)
    for group in optim.param_groups:
        group.setdefault("initial_lr", group["lr"] * group.get("lr_scale", 1.0))
    return optim


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
