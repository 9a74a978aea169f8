"""What a loss asks of the data, and targets in the form of the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from dlkit.types import Spec


def needs_classes(loss: str, spec: Spec) -> None:
    """Raises ValueError unless the targets are classes, two or more."""
    if spec.task != "classification":
        raise ValueError(f"loss={loss} needs classes, but this data has numbers as targets: try loss=mse")
    if spec.num_outputs < 2:
        raise ValueError(f"loss={loss} needs two classes or more, but this data has {spec.num_outputs}")


def needs_numbers(loss: str, spec: Spec) -> None:
    """Raises ValueError unless the targets are numbers."""
    if spec.task != "regression":
        raise ValueError(f"loss={loss} needs numbers as targets, but this data has classes: try loss=cross_entropy")


def refuse_shares(loss: str, y: Tensor) -> None:
    """Raises ValueError where the targets are shares of classes, as Mixup and CutMix make them."""
    if y.is_floating_point():
        raise ValueError(
            f"loss={loss} takes no shares of classes, which data.augment.mixup and data.augment.cutmix make: "
            "train with loss=cross_entropy, bce or mse, or set both to 0"
        )


def logits(spec: Spec) -> int:
    """How many logits tell the classes apart, each from the rest: one for two classes, else one a class."""
    return 1 if spec.num_outputs == 2 else spec.num_outputs


def shares(out: Tensor, y: Tensor) -> Tensor:
    """How far each output's class is true, of the outputs' shape: for a single logit, class one; else every class.

    `y` holds classes, int64 (B,), or their shares, float (B, classes): distributions, or several labels at a time.
    """
    if not y.is_floating_point():  # torch's one_hot would look at the values
        y = (y.unsqueeze(-1) == torch.arange(max(out.shape[-1], 2), device=y.device)).to(out.dtype)
    y = y[..., 1:] if out.shape[-1] == 1 else y
    assert out.shape == y.shape, f"outputs {tuple(out.shape)} and targets {tuple(y.shape)} would broadcast"
    return y


def signs(out: Tensor, y: Tensor) -> Tensor:
    """+1 where the output's class is the true one, else −1, of the outputs' shape."""
    return 2 * shares(out, y) - 1
