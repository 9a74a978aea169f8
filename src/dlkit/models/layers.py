"""The pieces of `lego`: `(spec, *, options) -> nn.Module`, the spec being of what comes into the layer.

An example is (F,) units, (T, F) a sequence of T steps, or (C, H, W) an image. The first option is the one that the
short form sets: `{conv: 32}` is `{conv: {channels: 32}}`. A piece raises ValueError for a shape that it does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from dlkit.models import sequence as steps
from dlkit.models.sequence import Cell
from dlkit.types import Fraction, NonNegativeInt, PositiveInt, Spec

PoolKind = Literal["max", "avg"]


class OverTime(nn.Module):
    """Lets a module whose channels are axis 1 take a sequence (B, T, F)."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.transpose(1, 2)).transpose(1, 2)


class Recurrent(nn.Module):
    """A recurrent layer's outputs (B, T, F), or (B, F) at the last step; the backward direction ends at the first."""

    def __init__(self, cell: Cell, inputs: int, units: int, bidirectional: bool, sequence: bool):
        super().__init__()
        self.core = steps.Recurrent(cell, inputs, units, bidirectional=bidirectional)
        self.pool = None if sequence else steps.Pool("last", self.core.width, bidirectional)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        out: Tensor = self.core(x, lengths)
        return out if self.pool is None else self.pool(out, lengths)


class Columns(nn.Module):
    """An image as the sequence of its columns, from left to right: (B, C, H, W) -> (B, W, C·H)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, 2).transpose(1, 2)


class Mean(nn.Module):
    """The mean over places (B, C, H, W) -> (B, C), or over steps (B, T, F) -> (B, F)."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            return x.sum(1) / lengths.clamp(min=1).unsqueeze(1).to(x.dtype)  # the padding is zeros
        return x.mean((2, 3)) if x.ndim == 4 else x.mean(1)


class Texts(nn.Sequential):
    """Layers one after the other over tokens (B, T), padded with 0; the padding changes nothing.

    Between the layers it is zeros, as what a convolution sees beyond a text's ends; recurrent layers and the mean know
    the lengths.
    """

    def forward(self, x: Tensor) -> Tensor:
        x, lengths = steps.unpadded(x)
        for layer in self:
            x = layer(x, lengths) if isinstance(layer, Recurrent | Mean) else layer(x)
            if x.ndim == 3:
                x = steps.zeroed(x, lengths)
        return x


def linear(spec: Spec, *, units: PositiveInt) -> nn.Module:
    """`Wx + b`; at each step of a sequence, on all pixels of an image."""
    shape = spec.input_shape
    if len(shape) == 3:
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), units))
    return nn.Linear(shape[-1], units)


def conv(
    spec: Spec,
    *,
    channels: PositiveInt,
    kernel: PositiveInt = 3,
    stride: PositiveInt = 1,
    padding: NonNegativeInt | None = None,
) -> nn.Module:
    """A convolution over an image, or over the steps of a sequence; padded by k//2, which keeps the size for odd k."""
    around = kernel // 2 if padding is None else padding
    if _is_image(spec, "an image (C, H, W) or a sequence (T, F)"):
        return nn.Conv2d(spec.input_shape[0], channels, kernel, stride, around)
    return OverTime(nn.Conv1d(spec.input_shape[1], channels, kernel, stride, around))


def pool(spec: Spec, *, size: PositiveInt = 2, stride: PositiveInt | None = None, kind: PoolKind = "max") -> nn.Module:
    """The largest value, or the mean, of every window; windows of an image are square."""
    if _is_image(spec, "an image (C, H, W) or a sequence (T, F)"):
        return (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(size, stride or size)
    return OverTime((nn.MaxPool1d if kind == "max" else nn.AvgPool1d)(size, stride or size))


def mean(spec: Spec) -> nn.Module:
    """The mean of every channel over an image, or of every unit over the steps of a sequence."""
    _is_image(spec, "an image (C, H, W) or a sequence (T, F)")
    return Mean()


def batchnorm(spec: Spec) -> nn.Module:
    """`(v − μ)/√(σ² + ε)·γ + β` over the batch (Ioffe and Szegedy 2015), for every unit or channel."""
    shape = spec.input_shape
    if spec.kind == "text" and len(shape) == 2:
        raise ValueError("would count the padding of texts; take layernorm, or put it behind lstm or mean")
    if len(shape) == 3:
        return nn.BatchNorm2d(shape[0])
    return nn.BatchNorm1d(shape[0]) if len(shape) == 1 else OverTime(nn.BatchNorm1d(shape[1]))


def layernorm(spec: Spec) -> nn.Module:
    """As batch norm, over the units of one example (Ba et al. 2016): of each step, or over the whole image."""
    shape = spec.input_shape
    return nn.GroupNorm(1, shape[0]) if len(shape) == 3 else nn.LayerNorm(shape[-1])


def dropout(spec: Spec, *, p: Fraction = 0.5) -> nn.Module:
    """Zeroes each unit with probability p while training, and divides the others by 1 − p."""
    return nn.Dropout(p)


def flatten(spec: Spec) -> nn.Module:
    """All numbers of an example in one row."""
    return nn.Flatten()


def columns(spec: Spec) -> nn.Module:
    """An image as a sequence of its columns."""
    if len(spec.input_shape) != 3:
        raise ValueError("takes an image (C, H, W)")
    return Columns()


def embedding(spec: Spec, *, units: PositiveInt) -> nn.Module:
    """A learnt vector for every token; zeros for the padding."""
    if spec.kind != "tokens" or spec.vocab_size is None:
        raise ValueError("takes tokens (T,), so only text begins with it")
    return nn.Embedding(spec.vocab_size, units, padding_idx=0)


def rnn(spec: Spec, *, units: PositiveInt, bidirectional: bool = False, sequence: bool = False) -> nn.Module:
    """Elman's network, `h_t = tanh(W_x x_t + W_h h_{t−1} + b)`: its last state, or with `sequence` all of them."""
    return Recurrent("rnn", _steps(spec), units, bidirectional, sequence)


def lstm(spec: Spec, *, units: PositiveInt, bidirectional: bool = False, sequence: bool = False) -> nn.Module:
    """`c_t = f·c_{t−1} + i·g`, `h_t = o·tanh(c_t)` (Hochreiter and Schmidhuber 1997).

    `g = tanh(·)`, `i, f, o = σ(W_x x_t + W_h h_{t−1} + b)`; torch keeps all four in one matrix, as i, f, g, o.
    """
    return Recurrent("lstm", _steps(spec), units, bidirectional, sequence)


def gru(spec: Spec, *, units: PositiveInt, bidirectional: bool = False, sequence: bool = False) -> nn.Module:
    """Gated recurrent units (Cho et al. 2014)."""
    return Recurrent("gru", _steps(spec), units, bidirectional, sequence)


PIECES: dict[str, Callable[..., nn.Module]] = {
    piece.__name__: piece
    for piece in (linear, conv, pool, mean, batchnorm, layernorm, dropout, flatten, columns, embedding, rnn, lstm, gru)
}


def _is_image(spec: Spec, takes: str) -> bool:
    """Whether an image comes, not a sequence. Raises ValueError where it is neither."""
    if len(spec.input_shape) == 1:
        raise ValueError(f"takes {takes}")
    return len(spec.input_shape) == 3


def _steps(spec: Spec) -> int:
    """Units of every step of a sequence."""
    if len(spec.input_shape) == 3:
        raise ValueError("takes a sequence (T, F); put columns before it to read an image from left to right")
    if len(spec.input_shape) == 1:
        raise ValueError("takes a sequence (T, F); a recurrent layer before it gives one with {sequence: true}")
    return spec.input_shape[1]
