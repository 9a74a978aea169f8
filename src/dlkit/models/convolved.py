"""Convolutions over sequences of different lengths as if each stood alone: in time, or in time and frequency."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlkit.models.sequence import mask


class MaskedNorm(_BatchNorm):
    """Batch norm of (B, C, T, …) over the places within a sequence: `(v − μ)/√(σ² + ε)·γ + β`, and zeros elsewhere.

    As `nn.BatchNorm2d`, but mean and variance are those of the real steps only.
    """

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        inside = _inside(x, lengths)
        shape = (1, -1, *(1,) * (x.dim() - 2))
        assert self.running_mean is not None and self.running_var is not None
        if self.training:
            count = lengths.sum().clamp(min=1) * x[0, 0, 0].numel()
            axes = [axis for axis in range(x.dim()) if axis != 1]
            x = x.float() * inside
            mean = x.sum(axes) / count
            x = (x - mean.view(shape)) * inside  # twice through x: E[v²] − μ² would lose digits
            variance = x.square().sum(axes) / count
            self._remember(mean, variance, count)
            scale = (self.weight * (variance + self.eps).rsqrt()).view(shape)
            return x * scale + self.bias.view(shape) * inside
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return (x * scale.view(shape) + (self.bias - self.running_mean * scale).view(shape)) * inside

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """The running mean and the running variance, unbiased, as torch keeps them."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum  # None: a plain mean
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), momentum)


class Convolution(nn.Module):
    """`pool(relu(norm(conv(x))))` of (B, C, T, …), zeros behind each sequence's end before and after, and its lengths.

    The filters have an odd size k and zeros (k − 1)/2 beyond the ends, so n steps become ⌈n/stride⌉, and ⌈n/pool⌉ after
    pooling: one step is enough. Raises ValueError for an even size.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel_size: int,
        *,
        axes: int,
        stride: int = 1,
        pool: int = 2,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"model.kernel_size={kernel_size} must be odd, so that a filter has a middle")
        make, make_pool = ((nn.Conv1d, nn.MaxPool1d), (nn.Conv2d, nn.MaxPool2d))[axes - 1]
        self.stride, self.size = stride, pool
        self.conv = make(inputs, channels, kernel_size, stride, kernel_size // 2, bias=not batch_norm)
        self.norm = MaskedNorm(channels) if batch_norm else None
        self.activation = nn.ReLU()
        self.pool = make_pool(pool, ceil_mode=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        lengths = _shortened(lengths, self.stride)
        x = x * _inside(x, lengths) if self.norm is None else self.norm(x, lengths)
        # relu leaves nothing below 0, so zeros behind the end never win a window that holds a real step
        return self.pool(self.activation(x)), _shortened(lengths, self.size)


class Convolutions(nn.Module):
    """Frames (B, T, M) as pictures of one channel -> (B, ⌈T/2ⁿ⌉, width), the channels of all bins left in a row."""

    def __init__(self, bins: int, channels: list[int], kernel_size: int, batch_norm: bool) -> None:
        super().__init__()
        widths = [1, *channels]
        self.blocks = nn.ModuleList(
            Convolution(inputs, outputs, kernel_size, axes=2, batch_norm=batch_norm)
            for inputs, outputs in zip(widths, channels, strict=False)
        )
        for _ in channels:
            bins = -(-bins // 2)
        self.width = widths[-1] * bins

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = x.unsqueeze(1)
        for block in self.blocks:
            x, lengths = block(x, lengths)
        return x.transpose(1, 2).flatten(2), lengths


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    """1 at the places of x (B, C, T, …) within a sequence, 0 elsewhere: (B, 1, T, …)."""
    return mask(lengths, x.shape[2]).view(x.shape[0], 1, -1, *(1,) * (x.dim() - 3)).to(x.dtype)


def _shortened(lengths: Tensor, stride: int) -> Tensor:
    return (lengths + stride - 1) // stride
