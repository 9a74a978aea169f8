"""Features: torchaudio's on the recording alone, whatever stands beside it; what they refuse; SpecAugment's masks."""

from __future__ import annotations

import math
import warnings
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torchaudio.transforms import MFCC, MelSpectrogram

from dlkit.models.features import Features, Normalize
from dlkit.models.sequence import mask
from dlkit.models.spec_augment import SpecAugment

RATE = 8000
LENGTHS = (1, 79, 80, 150, 1600, 2413)  # of samples: far less than a window of 200, a hop of 80, and more
WINDOW: dict[str, Any] = {"n_fft": 256, "win_length": 200, "hop_length": 80, "pad_mode": "constant"}


def recordings() -> list[Tensor]:
    return [torch.randn(length) * 0.1 for length in LENGTHS]


def padded(waves: list[Tensor], extra: int = 0) -> Tensor:
    longest = max(map(len, waves)) + extra
    rows = [torch.cat([wave, torch.full((longest - len(wave),), torch.nan)]) for wave in waves]
    return torch.stack(rows)


def test_log_mel_is_torchaudios_of_the_recording_alone() -> None:
    waves = recordings()
    reference = MelSpectrogram(RATE, n_mels=40, **WINDOW)
    for wave, frames in zip(waves, Features(RATE, normalize="none")(padded(waves)), strict=True):
        expected = (reference(wave) + 1e-6).log().T
        torch.testing.assert_close(frames[: len(expected)], expected, atol=1e-5, rtol=1e-5)
        assert frames[len(expected) :].isnan().all()


def test_cepstral_coefficients_are_torchaudios_of_the_recording_alone() -> None:
    waves = recordings()
    reference = MFCC(RATE, n_mfcc=13, log_mels=True, melkwargs={"n_mels": 30, **WINDOW})
    features = Features(RATE, kind="mfcc", mels=30, coefficients=13, normalize="none")
    assert features.width == 13
    for wave, frames in zip(waves, features(padded(waves)), strict=True):
        torch.testing.assert_close(frames[: 1 + len(wave) // 80], reference(wave).T, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["logmel", "mfcc"])
@pytest.mark.parametrize("normalize", get_args(Normalize))
def test_a_recording_alone_has_the_same_frames_as_in_a_padded_batch(kind: Any, normalize: Any) -> None:
    features, waves = Features(RATE, kind=kind, normalize=normalize), recordings()
    together = features(padded(waves, extra=500))
    assert together.shape == (6, 1 + 2913 // 80, features.width)
    for wave, frames in zip(waves, together, strict=True):
        alone = features(wave[None])[0]
        assert alone.shape[0] == 1 + len(wave) // 80 and not alone.isnan().any()
        torch.testing.assert_close(frames[: len(alone)], alone, atol=1e-5, rtol=0)
        assert frames[len(alone) :].isnan().all()


def test_recordings_of_one_length_bring_no_padding() -> None:
    assert Features(RATE)(torch.randn(3, 1000)).isfinite().all()


def test_the_loudest_filter_is_the_one_around_the_tone() -> None:
    time = torch.arange(1600) / RATE
    for frequency in (200.0, 1000.0, 3000.0):
        frames = Features(RATE, normalize="none")((2 * math.pi * frequency * time).sin()[None])[0, 5:15]
        mel = 2595 * math.log10(1 + frequency / 700)
        step = 2595 * math.log10(1 + 4000 / 700) / 41  # 40 filters between 0 and half the sample rate
        assert ((frames.argmax(1) + 1) * step - mel).abs().max() < step


def test_level_takes_the_loudness_away_and_keeps_the_spectrum_of_a_steady_sound() -> None:
    time = torch.arange(1600) / RATE
    low, high = ((2 * math.pi * f * time).sin()[None] + 0.05 * torch.randn(1, 1600) for f in (300, 2500))
    level, mean, none = (Features(RATE, normalize=name) for name in ("level", "mean", "none"))  # type: ignore[arg-type]
    torch.testing.assert_close(level(low), level(0.5 * low), atol=1e-2, rtol=0)
    torch.testing.assert_close(none(low) - none(0.5 * low), torch.full((1, 21, 40), math.log(4)), atol=1e-2, rtol=0)
    distance = {name: (f(low) - f(high)).mean(1).norm().item() for name, f in (("level", level), ("mean", mean))}
    assert distance["level"] > 5 and distance["mean"] < 1e-3


def test_normalisation_is_over_a_recordings_own_frames() -> None:
    x = padded(recordings())
    counts = torch.tensor([1 + length // 80 for length in LENGTHS])
    raw = Features(RATE, normalize="none")(x)
    for name, axes in (("level", (0, 1)), ("mean", (0,)), ("standardize", (0,))):
        for frames, before, count in zip(Features(RATE, normalize=name)(x), raw, counts, strict=True):  # type: ignore[arg-type]
            own = before[:count]
            expected = own - own.mean(axes)
            if name != "mean":
                expected = expected / (own.var(axes, correction=0) + 1e-2).sqrt()
            torch.testing.assert_close(frames[:count], expected, atol=1e-4, rtol=1e-4)


def test_half_precision_outside_leaves_the_features_in_float32() -> None:
    features, x = Features(RATE, kind="mfcc"), padded(recordings())
    with torch.autocast("cpu", torch.bfloat16):
        inside = features(x)
    assert inside.dtype is torch.float32
    torch.testing.assert_close(inside, features(x), equal_nan=True, rtol=0, atol=0)


def test_more_filters_than_the_spectrum_has_lines_for_are_refused_and_the_most_that_fit_named() -> None:
    with pytest.raises(
        ValueError, match=r"^model\.features\.mels=128 .* 256 samples at 8000 Hz.* at most \d+"
    ) as error:
        Features(RATE, mels=128)
    most = int(str(error.value).split("at most ")[1].split(",")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torchaudio's, of an empty filter
        assert Features(RATE, mels=most)(torch.randn(1, 300)).shape == (1, 4, most)
    with pytest.raises(ValueError, match="mels"):
        Features(RATE, mels=most + 1)
    assert Features(RATE, mels=128, window=100.0).width == 128
    assert Features(16_000, mels=64).width == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kind": "mfcc", "coefficients": 41},
            r"model\.features\.coefficients=41 is more than model\.features\.mels=40",
        ),
        ({"hop": 0.05}, r"model\.features\.hop=0\.05 ms is 0 samples at 8000 Hz"),
        ({"window": 0.1}, r"model\.features\.window=0\.1 ms is 1 samples"),
    ],
)
def test_what_makes_no_frames_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Features(RATE, **options)


def masks(**options: int) -> tuple[Tensor, Tensor, Tensor]:
    """What SpecAugment hides of 400 recordings of 5 to 30 frames and 20 bins, (400, 30, 20), and their lengths."""
    lengths = torch.randint(5, 31, (400,))
    x = torch.randn(400, 30, 20) * mask(lengths, 30).unsqueeze(-1)
    out = SpecAugment(**options)(x, lengths)
    assert (out[~mask(lengths, 30)] == 0).all()
    hidden = out != x
    mean = (x.sum(1) / lengths.unsqueeze(1)).unsqueeze(1).expand_as(x)
    torch.testing.assert_close(out[hidden], mean[hidden])
    return hidden, lengths, x


def test_a_time_mask_hides_one_stretch_of_all_bins_up_to_its_width_and_half_of_the_recording() -> None:
    hidden, lengths, _ = masks(time_masks=1, time_width=8)
    rows = hidden.any(2)
    assert torch.equal(hidden, (rows.unsqueeze(2) & mask(lengths, 30).unsqueeze(2)).expand_as(hidden))
    widths = rows.sum(1)
    edges = rows.int().diff(dim=1, prepend=torch.zeros(400, 1, dtype=torch.int)) == 1
    assert (edges.sum(1) <= 1).all()  # one stretch
    assert (widths <= torch.minimum(lengths // 2, torch.tensor(8))).all()
    assert set(widths[lengths >= 16].tolist()) == set(range(9))  # every width from none to all
    assert rows[:, 0].any() and rows[torch.arange(400), lengths - 1].any()  # the first and the last frame too


def test_a_frequency_mask_hides_a_band_in_all_frames_of_the_recording() -> None:
    hidden, lengths, _ = masks(freq_masks=2, freq_width=3)
    bands = hidden.any(1)
    assert torch.equal(hidden, bands.unsqueeze(1) & mask(lengths, 30).unsqueeze(2))
    assert int(bands.sum(1).max()) == 6 and bands.any(0).all()


def test_masks_are_drawn_anew_in_training_and_not_at_all_in_evaluation() -> None:
    augment, x, lengths = SpecAugment(time_masks=2, freq_masks=2), torch.randn(8, 30, 20), torch.full((8,), 30)
    torch.manual_seed(1)
    first, second = augment(x, lengths), augment(x, lengths)
    torch.manual_seed(1)
    assert torch.equal(augment(x, lengths), first) and not torch.equal(first, second)
    assert augment.eval()(x, lengths) is x
    assert SpecAugment()(x, lengths) is x
