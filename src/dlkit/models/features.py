"""From waveforms to frames: log-mel spectra and cepstral coefficients, as a speech model's first module."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from dlkit.models.sequence import mask, unpadded
from dlkit.types import Positive, PositiveInt

Kind = Literal["logmel", "mfcc"]
Normalize = Literal["none", "level", "mean", "standardize"]
FLOOR = 1e-6  # added to a filter's power: of silence the logarithm is −13.8
SPREAD = 1e-2  # added to variances of logarithms, so that a bin that hardly varies is not blown up


class Features(nn.Module):
    """Waveforms (B, T) -> frames (B, 1 + T // hop, width), the padding marked by NaN in both.

    logmel: `log(M |STFT|² + 1e-6)`, M triangular filters evenly spaced in mel, the windows Hann's and centred at the
    multiples of the hop, zeros beyond both ends; mfcc: the first `coefficients` of the orthonormal cosine transform
    (DCT-II) of those logarithms (Davis and Mermelstein 1980).

    `normalize` acts on each recording by itself. level: one mean and deviation over all frames and filters, before the
    cosine transform: loudness goes, the shape of the spectrum stays; mean: the mean of each bin over time (cepstral
    mean normalisation), which takes the microphone away, and a steady vowel too; standardize: the deviation as well.
    Always in float32. Raises ValueError where filters would be narrower than the spectrum's lines.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        kind: Kind = "logmel",
        mels: PositiveInt = 40,
        coefficients: PositiveInt = 20,
        window: Positive = 25.0,
        hop: Positive = 10.0,
        normalize: Normalize = "level",
    ) -> None:
        super().__init__()
        # 0.6 s, and only for speech
        from torchaudio.functional import create_dct
        from torchaudio.transforms import MelSpectrogram

        size, self.hop = _samples("window", window, sample_rate), _samples("hop", hop, sample_rate)
        n_fft = 1 << (size - 1).bit_length()  # the next power of two
        _check_filters(mels, n_fft, sample_rate)
        options = {"n_fft": n_fft, "win_length": size, "hop_length": self.hop, "n_mels": mels}
        self.mel = MelSpectrogram(sample_rate, **options, center=True, pad_mode="constant", power=2.0)
        self.kind, self.normalize, self.width = kind, normalize, mels
        if kind == "mfcc":
            if coefficients > mels:
                raise ValueError(f"model.features.coefficients={coefficients} is more than model.features.mels={mels}")
            self.width = coefficients
            self.register_buffer("cosines", create_dct(coefficients, mels, norm="ortho"))  # (mels, coefficients)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # logarithms of powers need float32
            samples, lengths = unpadded(x.float())
            frames = (self.mel(samples) + FLOOR).log().transpose(1, 2)
            inside = mask(1 + lengths // self.hop, frames.shape[1]).unsqueeze(-1)
            if self.normalize == "level":
                frames = _centred(frames, inside, (1, 2), deviation=True)
            if self.kind == "mfcc":
                frames = frames @ self.cosines
            if self.normalize in ("mean", "standardize"):
                frames = _centred(frames, inside, (1,), deviation=self.normalize == "standardize")
            return frames.masked_fill(~inside, torch.nan)


def _centred(x: Tensor, inside: Tensor, axes: tuple[int, ...], deviation: bool) -> Tensor:
    """x (B, T, M) minus its mean over the axes, the frames outside left out; divided by the deviation, if asked."""
    count = inside.expand_as(x).sum(axes, keepdim=True)
    x = x - (x * inside).sum(axes, keepdim=True) / count
    if not deviation:
        return x
    return x / ((x * inside).square().sum(axes, keepdim=True) / count + SPREAD).sqrt()


def _samples(name: str, milliseconds: float, sample_rate: int) -> int:
    count = round(milliseconds * sample_rate / 1000)
    if count < 1 + (name == "window"):
        raise ValueError(f"model.features.{name}={milliseconds} ms is {count} samples at {sample_rate} Hz: too few")
    return count


def _check_filters(mels: int, n_fft: int, sample_rate: int) -> None:
    """Raises ValueError where a filter falls between two lines of the spectrum, and names the most that fit."""
    if _filled(mels, n_fft, sample_rate):
        return
    most = next((count for count in range(mels - 1, 0, -1) if _filled(count, n_fft, sample_rate)), 1)
    raise ValueError(
        f"model.features.mels={mels} are too many for windows of {n_fft} samples at {sample_rate} Hz, some would be "
        f"empty: at most {most}, or a longer model.features.window"
    )


def _filled(mels: int, n_fft: int, sample_rate: int) -> bool:
    """Whether every filter has a line of the spectrum in it."""
    from torchaudio.functional import melscale_fbanks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what is asked here
        filters = melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, mels, sample_rate)
    return bool((filters.amax(0) > 0).all())
