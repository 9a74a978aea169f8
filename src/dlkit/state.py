"""What a run consists of while it trains. `state_dict()` is all that a resume needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import Signals
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlkit.ema import Ema
from dlkit.measure import Measure
from dlkit.rng import global_state, set_global_state
from dlkit.types import Batch, Data, Spec

OPEN_END = 10**9  # steps of a run that only trainer.max_time ends


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class State:
    """The moving parts of a run. Callbacks see this and nothing else."""

    model: nn.Module  # always the bare one: no `module.` and no `_orig_mod.` in any file
    optim: torch.optim.Optimizer
    spec: Spec
    folder: Path
    total_steps: int
    steps_per_epoch: int
    batch_size: int
    config: dict[str, Any] = field(default_factory=dict)  # resolved
    grad_norm: torch.Tensor | None = None  # of the last gradient before it was clipped, where something clips
    example: Any = None  # two examples of `Batch.x`
    data: Data | None = None  # what it is trained and evaluated on
    measure: Measure | None = None  # its loss and metrics, and how its model is called
    outputs: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)  # see Callback.wants_outputs
    probed: Batch | None = None  # the examples that panels and warnings look at, see probe
    look: Any = None  # probe.Look, the last one into the model
    board: Any = None  # callbacks.panels.panel.Board, where callbacks.tensorboard writes
    step: int = 0  # the only clock: completed optimiser updates
    stop: str = ""  # the reason to end early, set by a callback or a signal
    signal: int = 0  # the signal that asked to end
    asked: int = 0  # the signal that came to this process; of several all end, once all know of it
    status: str = "running"  # then: finished | stopped | interrupted | failed
    seconds: float = 0.0  # spent in training steps, without evaluations
    metrics: dict[str, float] = field(default_factory=dict)  # of the last evaluation
    best: dict[str, Any] = field(default_factory=dict)  # metric, value and step of the best evaluation
    losses: list[torch.Tensor] = field(default_factory=list)  # since the last log, still on the device
    parts: dict[str, Stateful] = field(default_factory=dict)  # what else must survive: encoder, ema, scaler, callbacks

    @property
    def is_job(self) -> bool:
        """Whether it is one of a sweep's runs."""
        return (self.folder.parent / "sweep.json").is_file()

    @property
    def epoch(self) -> float:
        """Passes over the training split so far."""
        return self.step / self.steps_per_epoch

    @property
    def bounded(self) -> bool:
        """Whether steps end the run; else time does."""
        return self.total_steps < OPEN_END

    @property
    def done(self) -> bool:
        return self.step >= self.total_steps or bool(self.stop)

    def end_by(self, number: int) -> None:
        """A signal asks to end the run; 0: none does."""
        if number:
            self.signal = number
            self.stop = self.stop or Signals(number).name

    @property
    def lr(self) -> float:
        """Learning rate of the first parameter group."""
        return float(self.optim.param_groups[0]["lr"])

    @property
    def eval_model(self) -> nn.Module:
        """The model to evaluate: the averaged one where there is one."""
        ema = self.parts.get("ema")
        return ema.model if isinstance(ema, Ema) else self.model

    def train_mode(self) -> None:
        """Puts the model into training mode, but for norm layers that are frozen: their statistics stay as they are."""
        self.model.train()
        for module in self.model.modules():
            own = list(module.parameters(recurse=False))
            if isinstance(module, _BatchNorm) and own and not any(p.requires_grad for p in own):
                module.eval()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data only, so that `torch.load(weights_only=True)` reads it."""
        return {
            "model": self.model.state_dict(),
            "optim": self.optim.state_dict(),
            "frozen": [name for name, p in self.model.named_parameters() if not p.requires_grad],
            "step": self.step,
            "total_steps": self.total_steps,
            "seconds": self.seconds,
            "metrics": self.metrics,
            "best": self.best,
            "losses": [loss.detach() for loss in self.losses],
            "spec": asdict(self.spec),
            "rng": global_state(),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        self._load_optim(state["optim"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.metrics, self.best = state["metrics"], state["best"]
        device = next(self.model.parameters()).device
        self.losses = [loss.to(device) for loss in state["losses"]]  # wherever the file was loaded to
        for name, part in self.parts.items():
            if name in state["parts"]:  # not so for a callback that was added since
                part.load_state_dict(state["parts"][name])
        set_global_state(state["rng"])

    def _load_optim(self, saved: dict[str, Any]) -> None:
        """Takes up moments and counts; rates and other options are those of the config, which may have changed."""
        groups = self.optim.state_dict()["param_groups"]
        names, places = _names(saved["param_groups"]), {name: i for i, name in _names(groups).items()}
        moments = {places[names[i]]: of_one for i, of_one in saved["state"].items()}  # they may be grouped otherwise
        self.optim.load_state_dict({"state": moments, "param_groups": groups})
        for p, moments in self.optim.state.items():
            for name, value in moments.items():
                if (
                    isinstance(value, torch.Tensor) and value.shape == p.shape
                ):  # fused kernels go by memory, not strides
                    moments[name] = torch.empty_like(p, dtype=value.dtype).copy_(value)


def _names(groups: list[dict[str, Any]]) -> dict[int, Any]:
    """The name of every parameter of an optimiser by its number, or the number itself where it has no names."""
    numbers = [i for group in groups for i in group["params"]]
    names = [name for group in groups for name in group.get("param_names", group["params"])]
    return dict(zip(numbers, names, strict=True))
