"""A trained model, taken from a run's folder: what `dlkit.load` gives, and evaluate, predict and export start from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from dlkit import runs, runtime
from dlkit.data.fitted import Fitted
from dlkit.data.prepare import ENCODERS
from dlkit.final import viewed
from dlkit.losses import Margin
from dlkit.making import make
from dlkit.measure import Measure
from dlkit.metrics import metrics_for
from dlkit.parts import build_final, build_loss, data_parts, uses_channels_last
from dlkit.predict import Prediction, Predictor
from dlkit.rundir import load as load_file
from dlkit.settings import Final, Trainer
from dlkit.trust import add_working_folder, refuse_untrusted
from dlkit.types import Encoder, Spec

RAW = {"tokens": "text"}  # the kind of raw examples, where an encoder turns them into another
FIRST_WEIGHTS = {"weights": None, "freeze": False, "vectors": None, "freeze_vectors": False}  # what only a start needs


@dataclass
class Trained:
    """A model with the weights of a run, and what belongs to it."""

    folder: Path
    config: DictConfig  # of the run
    weights: str  # which of its checkpoints
    step: int  # optimiser updates behind them
    spec: Spec
    encoder: Encoder
    model: nn.Module  # in evaluation mode, on `measure.device`
    measure: Measure  # the loss and the metrics
    trainer: Trainer

    @property
    def fitted(self) -> Fitted:
        """What data for this model is read with."""
        return Fitted(self.spec, self.encoder.state_dict())

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Tensor:
        """Raw outputs (B, K) of the model for encoded inputs (B, …)."""
        return self.measure.forward(self.model, x.to(self.measure.device))

    @property
    def predictor(self) -> Predictor:
        """What predicts from raw inputs."""
        source = cast(dict[str, Any], OmegaConf.to_container(self.config.data))
        return Predictor(self.outputs, self.spec, self.encoder, self.measure.loss, source)

    def predict(self, raw: Any) -> Prediction | list[Prediction]:
        """What the model says of a raw input; a list of it for a list or another container of several.

        Images: a path, a PIL image, an array in uint8 of any size, (H, W), (H, W, C) or (C, H, W), or one of exactly
        the training shape, which is taken as it is. Sound: a path, or floats (T,) at the model's rate. Text: a str.
        Tables: a dict by column, a pandas DataFrame, numbers (F,) or (N, F). Raises ValueError for what cannot be read.
        """
        return self.predictor(raw)


def load(run: str | Path, *, weights: str | None = None, device: str | None = None, trust: bool = False) -> Trained:
    """The trained model of a run.

    `weights` names a checkpoint: last, best, average, best-<step>, step-<step>; None: what the run's `final.weights`
    says. Views of images are those of its `final` in any case. `device` is cpu, cuda, mps or auto; None: the run's own,
    or auto where that is not here. Raises ValueError where the folder holds no run, the config names what could run
    code (unless `trust`), or checkpoint and config do not fit.
    """
    folder = runs.find(run)
    config = runs.read_config(folder)
    if trust:
        add_working_folder()
    else:
        refuse_untrusted(config, folder)
    return assembled(folder, runs.completed(config), weights, device)


def assembled(
    folder: Path, cfg: DictConfig, weights: str | None, device: str | None, content: dict[str, Any] | None = None
) -> Trained:
    """The trained model of a config and a checkpoint, which is read from the folder unless its `content` is given."""
    try:
        final = build_final(cfg)
        content = content or checkpoint(folder, weights, final)
        spec = Spec(**content["spec"])
        trainer: Trainer = instantiate(cfg.trainer)
        loss = build_loss(cfg, spec)
        model = saved_model(cfg, spec, loss.outputs, content["model"])
        encoder = saved_encoder(cfg, spec, content["encoder"])
    except (InstantiationException, RuntimeError, TypeError, KeyError) as error:  # what dlkit writes fits, unless older
        raise ValueError(f"{folder}: {_why(error, folder)}") from error
    trainer = replace(trainer, device=cast(Any, device or usable(trainer.device)))
    place = runtime.setup(trainer)
    if trainer.allocator:
        runtime.keep_freed_memory()
    model.to(place)
    if uses_channels_last(model, trainer):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    metrics = metrics_for(spec, margins=isinstance(loss, Margin))
    measure = Measure(loss, metrics, device=place, dtype=getattr(torch, trainer.dtype))
    model = viewed(model, final).requires_grad_(False).eval()
    return Trained(folder, cfg, weights or final.checkpoint, content["step"], spec, encoder, model, measure, trainer)


def usable(device: str) -> str:
    """The device's name, or auto where it is not here: a run made on a GPU can be used without one."""
    try:
        runtime.choose_device(device)
    except ValueError:
        return "auto"
    return device


def checkpoint(folder: Path, weights: str | None, final: Final) -> dict[str, Any]:
    """Weights to evaluate ("model"), "spec", "encoder" and "step" of a checkpoint, by name or as `final.weights` says.

    Raises ValueError where it lacks.
    """
    path = folder / "checkpoints" / f"{weights or final.checkpoint}.pt"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in path.parent.glob("*.pt"))) or "none at all"
        if weights is None:
            raise ValueError(f"final.weights={final.weights}: {folder} has no {path.name}, only {there}; see --weights")
        raise ValueError(f"--weights {weights}: {folder} has no such checkpoint; it has {there}")
    content = load_file(path)
    if not isinstance(content, dict) or not {"model", "spec", "step"} <= set(content):
        raise ValueError(f"{path}: holds no model of dlkit. {runs.written_by(folder)}")
    if "parts" in content:  # the whole state of a run, of which the averaged weights are evaluated where there are any
        parts = content["parts"]
        content = content | {"model": parts.get("ema", content["model"]), "encoder": parts["encoder"]}
    return content


def saved_encoder(cfg: DictConfig, spec: Spec, state: dict[str, Any]) -> Encoder:
    """The encoder of the data as it was fitted."""
    encoder: Encoder = data_parts(cfg)[1].get("encoder") or ENCODERS[RAW.get(spec.kind, spec.kind)]()
    encoder.load_state_dict(state)
    return encoder


def saved_model(cfg: DictConfig, spec: Spec, outputs: int, weights: dict[str, Tensor]) -> nn.Module:
    """The model of the config with these weights; files that its first weights came from are not needed."""
    node = cfg.model.copy()
    if str(node._target_).startswith("dlkit.models."):
        if node.get("vectors"):  # whose size was that of the file
            node.embedding_size = next(t.shape[1] for name, t in weights.items() if name.endswith("embedding.weight"))
        node.update({key: value for key, value in FIRST_WEIGHTS.items() if key in node})
    model: nn.Module = make(node)(spec, outputs)
    model.load_state_dict(weights)
    return model


def _why(error: Exception, folder: Path) -> str:
    """Why config and checkpoint make no model, and what to do."""
    name = re.match(r"Error locating target '([\w.]+)'", str(error))
    if name is None or name[1].startswith("dlkit."):
        return f"{_first_line(error)}. {runs.written_by(folder)}"
    cause = _first_line(error.__cause__ or error)
    return f"{name[1]} cannot be imported: {cause}. Code of your own is looked for where the command is typed"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__
