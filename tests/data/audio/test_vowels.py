"""Made vowels: what is heard is what was measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlkit.data.audio import vowels as source
from dlkit.data.audio.vowels import MEANS, WORDS, vowels
from dlkit.data.raw import Ragged
from dlkit.data.splits import divide

RATE = 10000  # all formants of all speakers lie below half of it


def say(kind: int, monkeypatch: pytest.MonkeyPatch, pitch: float | None = None) -> list[np.ndarray]:
    """The ten vowels by an average speaker, without noise, pauses or variation, in the middle of each."""
    if pitch:
        means = MEANS.copy()
        means[:, 0] = pitch
        monkeypatch.setattr(source, "MEANS", means)
    for name in ("PITCH", "TRACT", "ACCENT", "UTTERANCE", "PAUSE", "FALL", "RISE"):
        monkeypatch.setattr(source, name, 0.0)
    monkeypatch.setattr(source, "SHORT", 0.4)
    monkeypatch.setattr(source, "LOUD", -40.0)  # pulses far apart are high; they must not be clipped
    monkeypatch.setattr(source, "QUIET", -40.0)
    monkeypatch.setattr(source, "KINDS", tuple(float(one == kind) for one in range(3)))
    x, _ = vowels(examples=40, sample_rate=RATE, noise=0).splits["train"]
    waves = x.values.split(x.lengths.tolist())[:10]
    return [wave[1000:3000].double().numpy() for wave in waves]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_every_vowel_resonates_at_the_formants_of_the_table(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for vowel, wave in enumerate(say(kind, monkeypatch, pitch=10)):  # pulses so far apart that each rings alone
        response = np.abs(np.fft.rfft(wave[900:1900]))  # one pulse, till it is silent
        peaks = 10 * (1 + np.flatnonzero((response[1:-1] > response[:-2]) & (response[1:-1] > response[2:])))
        for formant in MEANS[kind, 1:, vowel]:
            off = np.abs(peaks - formant).min()
            assert off <= 10 + 0.02 * formant, f"{WORDS[vowel]}: no peak at {formant} Hz but at {peaks}"


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_every_vowel_repeats_at_the_pitch_of_the_table(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for vowel, wave in enumerate(say(kind, monkeypatch)):
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 16))
        comb = [sum(spectrum[round(k * f * (1 << 16) / RATE)] for k in range(1, 5)) for f in range(100, 300)]
        halves = comb[: int(MEANS[kind, 0, vowel]) - 100 + 30]  # up to 30 Hz above: beyond lie its multiples
        assert abs(100 + int(np.argmax(halves)) - MEANS[kind, 0, vowel]) <= 3


def test_the_vowels_are_balanced_and_of_the_promised_lengths_and_range() -> None:
    found = vowels(examples=400)
    x, y = found.splits["train"]
    assert isinstance(x, Ragged)
    assert torch.bincount(y).tolist() == [40] * 10
    assert found.classes == WORDS
    assert x.lengths.min() >= 0.15 * 8000
    assert x.lengths.max() <= (0.5 + 2 * 0.15) * 8000
    assert len(x.lengths.unique()) > 200
    assert x.values.abs().max() <= 1


def test_a_seed_gives_the_same_bits_and_another_seed_others() -> None:
    first, again, other = (vowels(examples=60, sample_seed=seed).fingerprint() for seed in (3, 3, 4))
    assert first == again != other


def test_a_speaker_is_in_one_split_only() -> None:
    found = vowels(examples=400)
    numbered = vowels(examples=400)
    object.__setattr__(numbered, "splits", {"train": (found.groups, found.splits["train"][1])})
    parts = divide(numbered, val_fraction=0.1, test_fraction=0.2, seed=0)
    speakers = [set(x.tolist()) for x, _ in parts.values()]
    assert [len(one) for one in speakers] == [14, 2, 4]
    assert len(set.union(*speakers)) == 20


def test_seconds_give_all_recordings_one_length() -> None:
    x, _ = vowels(examples=40, seconds=0.3).splits["train"]
    assert x.shape == (40, 2400)


def test_noise_is_what_is_heard_in_the_pauses() -> None:
    clean, noisy = (vowels(examples=40, noise=noise).splits["train"][0] for noise in (0.0, 0.5))
    assert torch.equal(clean.lengths, noisy.lengths)
    pauses = [wave[:40] for wave in clean.values.split(clean.lengths.tolist())]
    assert sum(not one.any() for one in pauses) > 30  # a few begin at once
    assert (noisy.values != 0).float().mean() > 0.99


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.examples=30: expected at least 40"):
        vowels(examples=30)
