"""Cutting a recording into its words, where it is silent."""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 0.01  # seconds between two measurements of the energy
GAP = 0.1  # seconds of silence that part two words
WORD = 0.08  # seconds: what is shorter is a click
MARGIN = 0.05  # seconds kept before and after a word
THRESHOLDS = 40  # tried between the quietest and the loudest


def cut(wave: Tensor, sample_rate: int, words: int) -> list[Tensor] | None:
    """The recording (T,) in `words` pieces; None where no threshold of energy finds as many.

    The energy is measured every 10 ms; stretches above a threshold are words, but for short ones, and those that only
    a short gap parts are one. Of the thresholds that find as many words as there are, the middle one is taken.
    """
    step = max(1, round(STEP * sample_rate))
    frames = wave[: len(wave) // step * step].view(-1, step)
    if len(frames) < words:
        return None
    level = frames.square().mean(1).clamp(min=1e-12).log()
    low, high = level.quantile(0.05), level.max()
    fits = []
    for fraction in torch.linspace(0, 1, THRESHOLDS + 2)[1:-1].tolist():
        found = _stretches(level > low + fraction * (high - low))
        if len(found) == words:
            fits.append(found)
    if not fits:
        return None
    margin = round(MARGIN / STEP)
    return [wave[max(0, first - margin) * step : (last + margin) * step] for first, last in fits[len(fits) // 2]]


def _stretches(loud: Tensor) -> list[tuple[int, int]]:
    """(first, one past the last) of the stretches of frames that are loud, gaps closed and clicks left out."""
    found: list[tuple[int, int]] = []
    for frame in loud.nonzero().flatten().tolist():
        if found and (frame - found[-1][1]) * STEP < GAP:
            found[-1] = (found[-1][0], frame + 1)
        else:
            found.append((frame, frame + 1))
    return [(first, last) for first, last in found if (last - first) * STEP >= WORD]
