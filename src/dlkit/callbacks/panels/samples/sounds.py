"""Waveforms as what can be heard and seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlkit.data.raw import Ragged

WINDOW, HOP = 0.025, 0.005  # of spectrograms, in seconds


def wave(raw: Tensor | Ragged, i: int) -> Tensor:
    """The i-th waveform (T,), without padding."""
    if isinstance(raw, Tensor):
        return raw[i][~raw[i].isnan()]
    start = int(raw.starts[i])
    return raw.values[start : start + int(raw.lengths[i])]


def power(samples: Tensor, rate: int) -> Any:
    """|STFT|² (frequencies, frames), 0 Hz to half the rate."""
    size = round(WINDOW * rate)
    padded = torch.nn.functional.pad(samples.float(), (size // 2, size // 2))
    hop = max(1, round(HOP * rate))
    frames = torch.stft(padded, size, hop, window=torch.hann_window(size), center=False, return_complex=True)
    return frames.abs().square().numpy()


def playable(samples: Tensor) -> Tensor:
    """Samples (T,) within [−1, 1]: as they are, or made softer."""
    return samples / samples.abs().max().clamp(min=1)
