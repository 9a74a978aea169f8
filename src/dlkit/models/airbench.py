"""The network that reaches 94 % on CIFAR-10 in seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from dlkit.models.fit import needs_image
from dlkit.types import PositiveInt, Spec


def airbench(spec: Spec, outputs: int, *, channels: Sequence[PositiveInt] = (64, 256, 256)) -> nn.Module:
    """Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a single GPU"): 2.0 million weights for images of 3×32×32.

    A first layer of 8·C filters of 2×2, for `init=whiten` to fill; for each of `channels` conv – pool – norm – GELU –
    conv – norm – GELU; the largest value of each channel; a linear layer without biases. As in the source, the 3×3
    convolutions have no biases and begin as the identity as far as they have inputs; norms forget fast (the newest
    batch counts 0.4) and learn only what they add. Raises ValueError for images that cannot be halved so often.
    """
    needs_image("model=airbench", spec)
    depth, height, width = spec.input_shape
    if (min(height, width) - 1) >> len(channels) < 1:
        raise ValueError(
            f"model.channels={list(channels)} halves the image {len(channels)} times, too often for {height}x{width}"
        )
    inputs = [8 * depth, *channels]
    blocks = {f"block{i}": _block(*inputs[i - 1 : i + 1]) for i in range(1, len(inputs))}
    parts = {
        "whiten": nn.Conv2d(depth, inputs[0], 2),
        "activation": nn.GELU(),
        **blocks,
        "pool": nn.AdaptiveMaxPool2d(1),
        "flatten": nn.Flatten(),
        "head": nn.Linear(inputs[-1], outputs, bias=False),
    }
    return nn.Sequential(OrderedDict(parts))


def _block(inputs: int, outputs: int) -> nn.Module:
    first = [_conv(inputs, outputs), nn.MaxPool2d(2), _norm(outputs), nn.GELU()]
    return nn.Sequential(*first, _conv(outputs, outputs), _norm(outputs), nn.GELU())


def _conv(inputs: int, outputs: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[:inputs].detach())
    return conv


def _norm(channels: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
