"""Old weights for a new model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Fitted:
    """What happened to the tensors of a file: names that were taken, and those that were not with the reason."""

    taken: list[str]
    left: dict[str, str]  # in the file, of another shape or unknown to the model
    untouched: list[str]  # in the model, not in the file


def init_from(model: nn.Module, source: Path) -> Fitted:
    """Copies every tensor of `source` that has the name and shape of one of the model's.

    `source` is a run's folder (its best weights, else its last) or a file: a checkpoint, or a plain state dict.
    Raises ValueError where there is no such file or nothing fits.
    """
    weights = read_weights(source)
    mine = model.state_dict()
    taken = [name for name, tensor in weights.items() if name in mine and mine[name].shape == tensor.shape]
    if not taken:
        theirs = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(weights.items())[:3])
        raise ValueError(f"init_from={source}: none of its weights fits this model; it has {theirs}, …")
    with torch.no_grad():
        for name in taken:
            mine[name].copy_(weights[name])
    left = {name: _why(tensor, mine.get(name)) for name, tensor in weights.items() if name not in taken}
    return Fitted(taken, left, [name for name in mine if name not in taken])


def freeze(model: nn.Module, names: list[str]) -> None:
    """Excludes these parameters from training. Raises ValueError where none would be left to train."""
    chosen = set(names)
    for name, parameter in model.named_parameters():
        if name in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("freeze=true: all weights fitted, so nothing would be left to train; leave freeze=false")


def read_weights(source: Path) -> dict[str, Tensor]:
    """The state dict in a run's folder or a file. Runs no code from it."""
    path = source
    if source.is_dir():
        found = [source / "checkpoints" / name for name in ("best.pt", "last.pt")]
        path = next((file for file in found if file.exists()), found[0])
    if not path.is_file():
        raise ValueError(f"init_from={source}: there is no {path}")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"init_from={source}: {path} holds no weights that can be read ({error})".split("\n")[0]
        ) from error
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"init_from={source}: {path} holds no state dict")
    return weights


def _why(theirs: Tensor, mine: Tensor | None) -> str:
    if mine is None:
        return "not in this model"
    return f"{tuple(theirs.shape)} there, {tuple(mine.shape)} here"
