"""Recordings: reading one file as a waveform, and the encoder of waveforms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dlkit.data.raw import Ragged

SHORTEST = 0.025  # seconds: one frame of the usual analysis of speech; less is no recording
QUIET = 1e-6  # −120 dB: what is not louder counts as silence
Level = Literal["none", "peak", "rms"]


def read_wave(path: Path, sample_rate: int, seconds: float | None) -> Tensor:
    """A WAV or FLAC file as float32 (T,): channels averaged, resampled to `sample_rate`, then `of_length`.

    Whole numbers become [−1, 1]; floats stay as they are, and resampling may overshoot by a little. Raises ValueError,
    `path: why`, where it cannot be read, holds NaN or is too short.
    """
    with opened(path) as file:
        rate, expected = file.samplerate, file.frames
        samples = file.read(dtype="float32", always_2d=True)  # (T, channels)
    if len(samples) < expected:
        raise ValueError(f"{path}: ends before its header says; it is damaged")
    check_length(path, len(samples), rate)
    wave = torch.from_numpy(samples).mean(1)
    if not wave.isfinite().all():
        raise ValueError(f"{path}: holds NaN or infinite samples")
    if rate != sample_rate:
        wave = _resampler(rate, sample_rate)(wave)
    return of_length(wave, sample_rate, seconds)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, its header read. Raises ValueError where that, or what is done with it, fails."""
    import soundfile  # here: only those who read recordings need it

    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except soundfile.SoundFileError as error:
        raise ValueError(f"{path}: cannot be read as audio; is it damaged, or of another kind?") from error


def check_length(path: Path, frames: int, rate: int) -> None:
    """Raises ValueError where there is nothing, or less than `SHORTEST`."""
    if frames == 0:
        raise ValueError(f"{path}: holds no samples")
    if frames < SHORTEST * rate:
        raise ValueError(f"{path}: shorter than {SHORTEST} s")


def samples_of(seconds: float, sample_rate: int) -> int:
    """How many samples; raises ValueError where they are too few to be a recording."""
    if seconds < SHORTEST:
        raise ValueError(f"data.seconds={seconds}: expected {SHORTEST} or more, or null")
    return round(seconds * sample_rate)


def of_length(wave: Tensor, sample_rate: int, seconds: float | None) -> Tensor:
    """(T,) -> the middle `seconds` of a longer recording, or zeros behind a shorter one; null: as it is."""
    if seconds is None:
        return wave
    wanted = samples_of(seconds, sample_rate)
    start = max(0, len(wave) - wanted) // 2
    wave = wave[start : start + wanted]
    return nn.functional.pad(wave, (0, wanted - len(wave)))


@lru_cache(maxsize=16)
def _resampler(rate: int, sample_rate: int) -> nn.Module:
    """Band-limited interpolation, torchaudio's, whose kernel is made once for each pair of rates."""
    from torchaudio.transforms import Resample  # here: only those who resample need it

    return Resample(rate, sample_rate)


class Waves:
    """Waveforms at one level each: x = raw / level(raw).

    level: `peak`, the largest |sample|; `rms`, the root mean square, so that a recording has about unit variance;
    `none`, 1. Silence stays zero. `samples`, found when fitted and saved with the model, is the length that all
    recordings have, or None: with the sample rate of the Spec it says how `read_wave` has to read a new one.
    """

    def __init__(self, *, level: Level = "rms") -> None:
        self.level = level
        self.samples: int | None = None

    def fit(self, raw: Tensor | Ragged) -> None:
        """Learn the length of the recordings, where they have one."""
        self.samples = raw.shape[1] if isinstance(raw, Tensor) else None

    def encode(self, raw: Tensor | Ragged, device: torch.device | str = "cpu") -> Tensor | Ragged:
        """float32 (B, T), padding NaN if any, or Ragged -> the same kind, on `device`."""
        if self.level == "none":
            return raw.to(device)
        if isinstance(raw, Tensor):
            raw = raw.to(device)
            return raw / self._levels(raw).unsqueeze(1)
        levels, raw = self._levels_of_ragged(raw).to(device), raw.to(device)
        levels = levels.repeat_interleave(raw.lengths.to(device), output_size=len(raw.values))
        return Ragged(raw.values / levels, raw.lengths)

    def promises(self) -> dict[str, Any]:
        """What it decides of the Spec."""
        return {"kind": "waveform"}

    def state_dict(self) -> dict[str, Any]:
        """Plain data, for a checkpoint."""
        return {"level": self.level, "samples": self.samples}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.level, self.samples = state["level"], state["samples"]

    def _levels_of_ragged(self, raw: Ragged) -> Tensor:
        """(N,), where the raw samples are: not every device has `segment_reduce`."""
        lengths = raw.lengths.to(raw.values.device)
        if self.level == "peak":
            levels = torch.segment_reduce(raw.values.abs(), "max", lengths=lengths)
        else:
            levels = torch.segment_reduce(raw.values.square(), "mean", lengths=lengths).sqrt()
        return levels.clamp(min=QUIET)

    def _levels(self, raw: Tensor) -> Tensor:
        """(B, T) -> (B,), of what is not padding."""
        if self.level == "peak":
            return raw.nan_to_num(0.0).abs().amax(1).clamp(min=QUIET)
        return raw.square().nanmean(1).nan_to_num(0.0).sqrt().clamp(min=QUIET)
