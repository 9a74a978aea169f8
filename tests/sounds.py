"""Small recordings for the tests of this folder."""

from __future__ import annotations

import math
from pathlib import Path

import soundfile
import torch
from torch import Tensor


def tone(seconds: float, rate: int, frequency: float = 440.0, level: float = 0.5) -> Tensor:
    """A sine (T,)."""
    return level * (2 * math.pi * frequency / rate * torch.arange(round(seconds * rate))).sin()


def write(path: Path, wave: Tensor, rate: int, subtype: str = "PCM_16") -> Path:
    """Writes (T,) or (T, channels) as the kind of file that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix[1:].upper()
    soundfile.write(path, wave.numpy(), rate, subtype=subtype, format=kind)
    return path
