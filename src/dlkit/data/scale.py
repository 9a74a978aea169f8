"""The encoder of numbers: a shift and a scale for each channel of an image or column of a table."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Normalize = Literal["none", "standardize", "minmax"]
PIXELS = (0.0, 255.0)


class Scale:
    """x = (raw − shift) / scale, fitted on the training split and saved with the model.

    standardize: shift is the mean and scale the standard deviation (of the population: divided by N);
    minmax: shift is the least value and scale the range; none: raw values as they are (0 … 255 for images).
    A channel that never varies keeps scale 1, so it becomes 0 and not NaN. `range`, the least and the largest raw
    value, says what 0 … 255 of a picture file has to become.
    """

    def __init__(self, *, normalize: Normalize = "standardize") -> None:
        self.normalize = normalize
        self.shift, self.scale = torch.zeros(1), torch.ones(1)  # fitted: float32 (C, 1, 1), on the CPU
        self.range = PIXELS

    def fit(self, raw: Tensor) -> None:
        """Fit on images (N, C, H, W), one number a channel."""
        axes = [axis for axis in range(raw.dim()) if axis != 1]
        low, high = raw.amin(axes).double(), raw.amax(axes).double()
        self.range = (float(low.min()), float(high.max()))
        if self.normalize == "none":
            shift, scale = torch.zeros_like(low), torch.ones_like(low)
        elif self.normalize == "standardize":
            scale, shift = _deviation_and_mean(raw, axes)
        else:
            shift, scale = low, high - low
        scale = torch.where(low == high, 1.0, scale)
        shape = (-1,) + (1,) * (raw.dim() - 2)
        self.shift, self.scale = shift.float().reshape(shape), scale.float().reshape(shape)

    def encode(self, raw: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Raw images (B, C, H, W), uint8 or float -> float32, on `device` and in the same memory format."""
        raw = raw.to(device)
        out = torch.empty_like(raw, dtype=torch.float32).copy_(raw)  # `raw − shift` would make one copy more
        shift, scale = (one.to(device, non_blocking=True) for one in (self.shift, self.scale))  # no sync for each batch
        return out.sub_(shift).div_(scale)

    def promises(self) -> dict[str, Any]:
        """What it decides of the Spec."""
        return {"kind": "image"}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data, for a checkpoint."""
        return {"shift": self.shift, "scale": self.scale, "range": list(self.range)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        low, high = state.get("range", PIXELS)  # older checkpoints do not say
        self.range = (low, high)
        self.shift, self.scale = state["shift"].cpu(), state["scale"].cpu()


def _deviation_and_mean(raw: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean of each channel (C,) or column (F,), in float64."""
    if raw.dtype != torch.uint8:
        return torch.std_mean(raw.double(), axes, correction=0)
    # Exact, and without a float copy of all pixels: the 256 values weighted by how often each occurs.
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in raw.unbind(1)])
    weights = counts.double() / counts.sum(1, keepdim=True)  # (C, 256)
    values = torch.arange(256, dtype=torch.float64)
    mean = weights @ values
    return (weights * (values - mean[:, None]).square()).sum(1).sqrt(), mean
