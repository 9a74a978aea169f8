"""Spoken vowels, made by a source and filters after measurements of men, women and children."""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from dlkit.data.audio.waves import of_length
from dlkit.data.examples import Examples
from dlkit.data.raw import Ragged
from dlkit.rng import SYNTHETIC, stream
from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt

Array = NDArray[np.float32]

# Peterson and Barney 1952, "Control methods used in a study of the vowels", table II: means in Hz of the pitch F0 and
# the formants F1, F2, F3 of men, women and children, who said these ten words.
WORDS = ("heed", "hid", "head", "had", "hod", "hawed", "hood", "who'd", "hud", "heard")
MEANS = np.array(
    [
        [
            [136, 135, 130, 127, 124, 129, 137, 141, 130, 133],
            [270, 390, 530, 660, 730, 570, 440, 300, 640, 490],
            [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190, 1350],
            [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390, 1690],
        ],
        [
            [235, 232, 223, 210, 212, 216, 232, 231, 221, 218],
            [310, 430, 610, 860, 850, 590, 470, 370, 760, 500],
            [2790, 2480, 2330, 2050, 1220, 920, 1160, 950, 1400, 1640],
            [3310, 3070, 2990, 2850, 2810, 2710, 2680, 2670, 2780, 1960],
        ],
        [
            [272, 269, 260, 251, 256, 263, 276, 274, 261, 261],
            [370, 530, 690, 1010, 1030, 680, 560, 430, 850, 560],
            [3200, 2730, 2610, 2320, 1370, 1060, 1410, 1170, 1590, 1820],
            [3730, 3600, 3570, 3320, 3170, 3180, 3310, 3260, 3360, 2160],
        ],
    ],
    dtype=np.float32,
)  # (3 kinds of speakers, F0 to F3, 10 vowels)
KINDS = (33, 28, 15)  # men, women and children, in proportion to theirs
LISTS = 2  # times that a speaker says the ten words, as theirs did
BANDWIDTHS = (60.0, 90.0, 150.0)  # Hz, of the formants
GLOTTIS = 100.0  # Hz, the bandwidth of the filter at 0 Hz that rounds the pulses of the source (Klatt 1980)
SHORT, LONG = 0.15, 0.5  # seconds
PAUSE = 0.15  # seconds of nothing but noise before and after a vowel, at most
RAMP = 0.03  # seconds in which a vowel swells and fades
QUIET, LOUD = -34.0, -14.0  # root mean square in dB, of the loudest possible
# Deviations of the logarithm of a frequency: of a speaker's pitch and tract as a whole, of how a speaker says one
# vowel, and of each time it is said.
PITCH, TRACT, ACCENT, UTTERANCE = 0.12, 0.05, 0.05, 0.03
FALL, RISE = 0.2, 0.1  # by how much the pitch may fall or rise in the course of a vowel, as a fraction
CHUNK = 512  # vowels made at once: 8 MB at 8 kHz for each of a few arrays


def vowels(
    *,
    examples: PositiveInt = 3000,
    sample_rate: PositiveInt = 8000,
    seconds: Positive | None = None,
    noise: NonNegative = 0.1,
    sample_seed: NonNegativeInt = 0,
) -> Examples:
    """Ten vowels of men, women and children, 0.15 to 0.5 s, with random pitch, length, level, pauses and noise.

    Pulses at the pitch F0, rounded by the glottis, pass resonators in cascade at the formants F1, F2, F3 (Klatt 1980).
    Their means are those of Peterson and Barney; speakers differ in pitch, in the length of their tract and in how they
    say each vowel. A speaker says all ten vowels twice, and is in one split only. `noise` is the most that
    white noise has of a vowel's root mean square. `seconds`: all of this length, with zeros behind; null: their own.
    """
    if examples < 2 * len(WORDS) * LISTS:
        raise ValueError(f"data.examples={examples}: expected at least {2 * len(WORDS) * LISTS}, those of two speakers")
    generator = stream(SYNTHETIC, sample_seed)
    number = torch.arange(examples)
    vowel = number % len(WORDS)
    speaker = number // (len(WORDS) * LISTS)
    frequencies = _frequencies(speaker.numpy(), vowel.numpy(), generator)
    least, most = torch.tensor([[0.0], [SHORT], [0.0]]), torch.tensor([[PAUSE], [LONG], [PAUSE]])
    seconds_of = torch.lerp(least, most, torch.rand(3, examples, generator=generator))  # before, in and after a vowel
    times = (seconds_of * sample_rate).long()
    lengths = times.sum(0)
    parts = []
    for start in range(0, examples, CHUNK):
        chosen = slice(start, start + CHUNK)
        parts.append(_say(frequencies[:, chosen], times[:, chosen], sample_rate, noise, generator))
    x: Ragged | Tensor = Ragged(torch.cat(parts), lengths)
    if seconds is not None:
        waves = torch.cat(parts).split(lengths.tolist())
        x = torch.stack([of_length(wave, sample_rate, seconds) for wave in waves])
    return Examples("waveform", "classification", {"train": (x, vowel)}, WORDS, speaker, sample_rate)


def _frequencies(speaker: NDArray[np.int64], vowel: NDArray[np.int64], generator: Generator) -> Array:
    """F0 to F3 in Hz of each example (4, N)."""
    count = int(speaker[-1]) + 1
    kind = torch.multinomial(torch.tensor(KINDS).float(), count, replacement=True, generator=generator).numpy()
    pitch, tract = (np.exp(scale * _normal(generator, count)) for scale in (PITCH, TRACT))
    accent = np.exp(ACCENT * _normal(generator, 3, count, len(WORDS)))
    utterance = np.exp(UTTERANCE * _normal(generator, 4, len(vowel)))
    found = MEANS[kind[speaker], :, vowel].T * utterance
    found[0] *= pitch[speaker]
    found[1:] *= tract[speaker] * accent[:, speaker, vowel]
    return found


def _say(frequencies: Array, times: Tensor, sample_rate: int, noise: float, generator: Generator) -> Tensor:
    """Vowels of the frequencies (4, N), end to end: float32 (total,). `times` (3, N): samples before, in and after."""
    lengths = times.sum(0)
    count, longest = len(lengths), int(lengths.max())
    drift, share, level = torch.rand(3, count, generator=generator).numpy()
    before, size, _ = times.numpy().astype(np.float32)
    time = (np.arange(longest, dtype=np.float32)[:, None] - before) / size  # (T, N); a vowel lasts from 0 to 1
    glide = drift * (FALL + RISE) - FALL
    x = _pulses(frequencies[0] / sample_rate * (1 + glide * time))
    _resonate(x, 0.0, GLOTTIS, sample_rate)
    for formant, bandwidth in zip(frequencies[1:], BANDWIDTHS, strict=True):
        _resonate(x, formant, bandwidth, sample_rate)
    x[1:] -= x[:-1].copy()  # the lips radiate changes of the air flow
    x *= np.clip(np.minimum(time, 1 - time) / (RAMP * sample_rate / size), 0, 1)  # zero in the pauses
    x /= np.sqrt(np.square(x).sum(0) / size)
    x += noise * share * _normal(generator, longest, count)
    x *= 10 ** ((QUIET + (LOUD - QUIET) * level) / 20)
    wave = torch.from_numpy(x).clamp_(-1, 1).T  # (N, T)
    return wave[torch.arange(longest) < lengths[:, None]]


def _pulses(steps: Array) -> Array:
    """A pulse of area 1 wherever the sum of `steps` (T, N), cycles a sample, reaches a whole number.

    It is shared between the two samples about its place, so that the pitch is not rounded to whole samples.
    """
    phase = np.cumsum(steps, 0)
    cycle = np.floor(phase)
    begins = np.diff(cycle, axis=0, prepend=np.float32(0)) > 0
    late = (phase - cycle) / steps * begins  # samples since the pulse, in [0, 1)
    pulses = begins - late
    pulses[:-1] += late[1:]
    return pulses


def _resonate(x: Array, frequency: Array | float, bandwidth: float, sample_rate: int) -> None:
    """Passes x (T, N) in place through a resonator: `y_t = a x_t + b y_{t−1} + c y_{t−2}` (Klatt 1980, eq. 1).

    c = −exp(−2π·bandwidth/rate), b = 2 exp(−π·bandwidth/rate) cos(2π·frequency/rate), a = 1 − b − c. A formant near
    or beyond half the sample rate is left out.
    """
    decay = np.exp(-pi * bandwidth / sample_rate)
    heard = np.float32(np.less(frequency, 0.475 * sample_rate))
    b = heard * np.float32(2 * decay * np.cos(2 * pi * frequency / sample_rate))
    c = heard * np.float32(-(decay**2))
    x *= 1 - b - c
    for t in range(1, len(x)):
        x[t] += b * x[t - 1]
        if t > 1:
            x[t] += c * x[t - 2]


def _normal(generator: Generator, *shape: int) -> Array:
    return torch.randn(shape, generator=generator).numpy()
