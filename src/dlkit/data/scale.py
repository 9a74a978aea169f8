"""The encoder of numbers: a shift and a scale for each channel of an image or column of a table."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Normalize = Literal["none", "standardize", "minmax"]


class Scale:
    """x = (raw − shift) / scale, fitted on the training split and saved with the model.

    standardize: shift is the mean and scale the standard deviation (of the population: divided by N);
    minmax: shift is the least value and scale the range; none: raw values as they are (0 … 255 for images).
    A channel or column that never varies keeps scale 1, so it becomes 0 and not NaN.
    """

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        self.shift, self.scale = shift, scale  # float32 (C, 1, 1) or (F,), on the CPU

    @classmethod
    def fit(cls, raw: Tensor, normalize: Normalize) -> Scale:
        """Fit on the training split: images (N, C, H, W), one number a channel; tables (N, F), one a column."""
        axes = [axis for axis in range(raw.dim()) if axis != 1]
        low, high = raw.amin(axes).double(), raw.amax(axes).double()
        if normalize == "none":
            shift, scale = torch.zeros_like(low), torch.ones_like(low)
        elif normalize == "standardize":
            scale, shift = _deviation_and_mean(raw, axes)
        else:
            shift, scale = low, high - low
        scale = torch.where(low == high, 1.0, scale)
        shape = (-1,) + (1,) * (raw.dim() - 2)
        return cls(shift.float().reshape(shape), scale.float().reshape(shape))

    def encode(self, raw: Tensor) -> Tensor:
        """Raw examples (B, …), uint8 or float -> float32 (B, …), on the same device and in the same memory format."""
        # `sub` promotes uint8 to float32 in the same pass and never writes into `raw`.
        return torch.sub(raw, self.shift.to(raw.device)).div_(self.scale.to(raw.device)).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors, for a checkpoint."""
        return {"shift": self.shift, "scale": self.scale}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
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
