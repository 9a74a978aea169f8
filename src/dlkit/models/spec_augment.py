"""Hidden stretches of time and of frequency in training: SpecAugment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlkit.models.sequence import mask
from dlkit.types import NonNegativeInt


class SpecAugment(nn.Module):
    """Masks of random place and width over frames (B, T, M), in training only (Park et al. 2019, without time warping).

    A mask is u wide, u uniform in 0 … width, and lies anywhere within its own recording; of a short one it hides at
    most half. What is hidden becomes the recording's mean of that bin. Drawn anew for every example and step, from
    torch's generator, as dropout is.
    """

    def __init__(
        self,
        *,
        time_masks: NonNegativeInt = 0,
        time_width: NonNegativeInt = 10,
        freq_masks: NonNegativeInt = 0,
        freq_width: NonNegativeInt = 8,
    ) -> None:
        super().__init__()
        self.time_masks, self.time_width = time_masks, time_width  # frames
        self.freq_masks, self.freq_width = freq_masks, freq_width  # bins

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x has zeros behind each recording's end, before and after."""
        if not self.training or not self.time_masks + self.freq_masks:
            return x
        bins = torch.full_like(lengths, x.shape[2])
        hidden = _stretches(lengths, x.shape[1], self.time_masks, self.time_width).unsqueeze(2)
        hidden = hidden | _stretches(bins, x.shape[2], self.freq_masks, self.freq_width).unsqueeze(1)
        mean = x.sum(1, keepdim=True) / lengths.clamp(min=1).view(-1, 1, 1)
        return torch.where(hidden & mask(lengths, x.shape[1]).unsqueeze(-1), mean.to(x.dtype), x)


def _stretches(sizes: Tensor, places: int, count: int, width: int) -> Tensor:
    """True (B, places) in `count` random stretches within the first `sizes` (B,) places."""
    draw = torch.rand(2, len(sizes), count, device=sizes.device)
    sizes = sizes.unsqueeze(1)
    widths = (draw[0] * ((sizes // 2).clamp(max=width) + 1)).floor()
    starts = (draw[1] * (sizes - widths + 1)).floor()
    at = torch.arange(places, device=sizes.device)
    return ((at >= starts.unsqueeze(-1)) & (at < (starts + widths).unsqueeze(-1))).any(1)
