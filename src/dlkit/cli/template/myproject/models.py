"""Models: functions (or classes) that `conf/model/*.yaml` name, called as `target(spec, outputs, **options)`."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from dlkit.types import PositiveInt, Spec


def residual_mlp(spec: Spec, outputs: int, *, width: PositiveInt, blocks: PositiveInt) -> nn.Module:
    """A linear layer, `blocks` residual blocks, and a linear layer to `outputs` numbers an example.

    `spec` says what the data is like: shape of an example, classes, kind; `outputs` is what the loss asks for.
    """
    layers = [Residual(width) for _ in range(blocks)]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(prod(spec.input_shape), width), *layers, nn.ReLU(), nn.Linear(width, outputs)
    )


class Residual(nn.Module):
    """`x + W₂ relu(W₁ relu(x))`."""

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)
