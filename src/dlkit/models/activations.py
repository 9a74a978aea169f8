"""Activation functions by name, and how a layer and its activation go together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal[
    "identity",
    "step",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "leaky_relu_0.1",
    "prelu",
    "elu",
    "maxout",
    "softsign",
    "softplus",
    "softmax",
    "gelu",
    "silu",
]


class Step(nn.Module):
    """Heaviside's step, `[x ≥ 0]`: 1 or 0. Its derivative is 0 everywhere, so what stands before it does not learn."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 - x.neg().sign().clamp(min=0)  # autograd knows the sign's derivative, which is 0; heaviside has none


class Maxout(nn.Module):
    """The larger of two linear functions, `max(w₁ᵀx + b₁, w₂ᵀx + b₂)` (Goodfellow et al. 2013): 2C units to C.

    Unit i of the output takes units i and C + i along `axis`, so the layer before must be twice as wide.
    """

    def __init__(self, axis: int = 1):
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=self.axis)
        return torch.maximum(first, second)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "step": Step,
    "sigmoid": nn.Sigmoid,  # 1/(1 + e⁻ˣ)
    "tanh": nn.Tanh,
    "relu": nn.ReLU,  # max(x, 0)
    "leaky_relu": nn.LeakyReLU,  # x, or 0.01 x below 0
    "leaky_relu_0.1": partial(nn.LeakyReLU, 0.1),
    "prelu": nn.PReLU,  # the slope below 0 is learnt, from 0.25 on; one for the layer
    "elu": nn.ELU,  # x, or eˣ − 1 below 0
    "maxout": Maxout,
    "softsign": nn.Softsign,  # x/(1 + |x|)
    "softplus": nn.Softplus,  # log(1 + eˣ)
    "softmax": partial(nn.Softmax, 1),  # over the units of a layer, or the channels at a place
    "gelu": nn.GELU,  # x Φ(x)
    "silu": nn.SiLU,  # x σ(x)
}


def make_activation(name: str) -> nn.Module:
    """A new module of that activation; units or channels are its axis 1. Warns of one that stops all gradients."""
    if name == "step":
        warnings.warn("activation step has gradient 0: the layers before it keep their initial weights", stacklevel=2)
    return ACTIVATIONS[name]()


def width_before(activation: str, width: int) -> int:
    """Units of the layer that the activation turns into `width`: twice as many for maxout."""
    return 2 * width if activation == "maxout" else width


def activated(
    layer: Callable[[int], nn.Module], width: int, activation: str, norm: Callable[[int], nn.Module] | None = None
) -> list[nn.Module]:
    """`φ(norm(layer(x)))`, `width` units wide; `layer` and `norm` make a module of a given width."""
    wide = width_before(activation, width)
    return [layer(wide), *([norm(wide)] if norm else []), make_activation(activation)]
