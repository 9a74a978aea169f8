"""Initial weights: `(model, batch) -> None`, in place, once, before compile. Biases become 0, norms are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from torch import Tensor, nn

from dlkit.types import Batch, Positive


def default(model: nn.Module, batch: Batch) -> None:
    """What torch's layers do by themselves: U(−1/√n, 1/√n) for linear and convolutional layers, n the fan-in."""


def xavier(
    model: nn.Module, batch: Batch, *, distribution: Literal["uniform", "normal"] = "uniform", gain: Positive = 1.0
) -> None:
    """Glorot and Bengio 2010, eq. 16: variance `gain² · 2/(fan_in + fan_out)`, made for tanh and sigmoid layers."""
    fill = nn.init.xavier_uniform_ if distribution == "uniform" else nn.init.xavier_normal_
    _fill(model, lambda weight: fill(weight, gain=gain))


def kaiming(model: nn.Module, batch: Batch, *, distribution: Literal["uniform", "normal"] = "normal") -> None:
    """He et al. 2015, eq. 10: variance `2/fan_in`, which keeps the second moment through ReLU layers."""
    fill = nn.init.kaiming_uniform_ if distribution == "uniform" else nn.init.kaiming_normal_
    _fill(model, lambda weight: fill(weight, nonlinearity="relu"))


def _fill(model: nn.Module, fill: Callable[[Tensor], Tensor]) -> None:
    for layer in _weighted_layers(model):
        fill(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _weighted_layers(model: nn.Module) -> Iterator[nn.Linear | nn.Conv1d | nn.Conv2d]:
    return (layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d))
