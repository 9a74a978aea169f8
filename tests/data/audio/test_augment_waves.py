"""Random changes to recordings: each does what it says, to what is not padding."""

from __future__ import annotations

import pytest
import torch
from sounds import tone
from torch import Tensor

from dlkit.data.audio.augment import AugmentWaves, move
from dlkit.data.raw import Ragged
from dlkit.rng import AUGMENT, stream
from dlkit.types import Batch, Spec

SPEC = Spec("waveform", (4000,), 2, "classification", sample_rate=8000)
LENGTHS = [2500, 1200, 3000, 300]


def batch() -> Batch:
    """Four tones of different lengths, none as long as the longest of the data."""
    x = Ragged.of([tone(length / 8000, 8000, 500) for length in LENGTHS]).padded(torch.arange(4))
    return Batch(x, torch.arange(4))


def augmented(given: Batch, step: int = 0, **options: float) -> Tensor:
    augment = AugmentWaves(**options)
    augment.check(SPEC)
    changed = augment(given, stream(AUGMENT, 0, step))
    assert torch.equal(changed.y, given.y)
    return changed.x


def lengths(x: Tensor) -> list[int]:
    """How long each is; asserts that what is behind an end is NaN to the last."""
    real = ~x.isnan()
    assert (real.int().diff(dim=1) <= 0).all()
    return real.sum(1).tolist()


def test_nothing_is_on_until_it_is_asked_for() -> None:
    assert not AugmentWaves()
    assert all(AugmentWaves(**{name: 0.1}) for name in ("noise", "shift", "speed", "gain"))
    given = batch()
    assert torch.equal(augmented(given).nan_to_num(9), given.x.nan_to_num(9))


def test_only_recordings_are_taken() -> None:
    with pytest.raises(ValueError, match=r"data\.augment\.gain=3: .* this data is image"):
        AugmentWaves(gain=3).check(Spec("image", (1, 8, 8), 2, "classification"))


def test_the_same_generator_gives_the_same_and_every_recording_its_own() -> None:
    options = {"noise": 0.5, "shift": 0.2, "speed": 0.2, "gain": 6.0}
    same = Batch(tone(0.5, 8000).repeat(2, 1), torch.zeros(2))
    first, again, later = (augmented(same, step, **options) for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first[0], first[1])


def test_gain_is_a_factor_within_its_decibels() -> None:
    given = batch()
    factors = augmented(given, gain=6) / given.x
    for row, length in zip(
        factors, lengths(factors[:, 1:].nan_to_num(1).where(~given.x[:, 1:].isnan(), torch.nan)), strict=True
    ):
        seen = row[1:length]
        seen = seen[seen.isfinite()]
        assert seen.std() < 1e-4
        assert 10 ** (-6 / 20) <= seen.mean() <= 10 ** (6 / 20)


def test_noise_is_white_and_as_loud_as_asked_for() -> None:
    given = Batch(tone(2.0, 8000).repeat(64, 1), torch.zeros(64))
    noise = augmented(given, noise=0.5) - given.x
    share = noise.square().mean(1).sqrt() / given.x.square().mean(1).sqrt()
    assert share.max() <= 0.52
    assert share.min() < 0.05
    assert abs(share.mean() - 0.25) < 0.06
    loud = noise[share > 0.1]
    neighbours = (loud[:, 1:] * loud[:, :-1]).mean(1) / loud.square().mean(1)
    assert neighbours.abs().max() < 0.05


def test_noise_leaves_padding_and_silence_alone() -> None:
    given = batch()
    assert lengths(augmented(given, noise=0.5)) == LENGTHS
    silent = Batch(torch.zeros(2, 100), torch.zeros(2))
    assert torch.equal(augmented(silent, noise=0.5), silent.x)


def test_shift_moves_whole_samples_and_brings_in_silence() -> None:
    x = batch().x
    moved = move(x, torch.ones(4), torch.tensor([0.1, -0.25, 0.0, 0.0]), 3000, 4000)
    assert lengths(moved) == LENGTHS
    assert torch.equal(moved[0, 250:2500], x[0, :2250])
    assert not moved[0, :250].any()
    assert torch.equal(moved[1, :900], x[1, 300:1200])
    assert not moved[1, 900:1200].any()
    assert torch.equal(moved[2:].nan_to_num(9), x[2:].nan_to_num(9))


def test_speed_changes_length_and_pitch_together() -> None:
    x = tone(0.5, 8000, 200).unsqueeze(0)  # 4,000 samples
    faster, slower = (move(x, torch.tensor([speed]), torch.zeros(1), 5000, 9999) for speed in (1.25, 0.8))
    for moved, length, frequency in ((faster, 3200, 250), (slower, 5000, 160)):
        assert lengths(moved) == [length]
        spectrum = torch.fft.rfft(moved[0, :length], 16000).abs()
        assert abs(int(spectrum.argmax()) / 2 - frequency) < 2  # lines of 0.5 Hz


def test_slower_recordings_make_a_longer_batch_but_none_beyond_the_longest_of_the_data() -> None:
    given = batch()
    for step in range(5):
        x = augmented(given, step, speed=0.5)
        assert given.x.shape[1] <= x.shape[1] <= 4000
        for before, after in zip(LENGTHS, lengths(x), strict=True):
            assert before / 1.5 - 1 <= after <= min(before / 0.5 + 1, 4000)


def test_recordings_all_of_one_length_stay_of_that_length() -> None:
    given = Batch(tone(0.5, 8000).repeat(8, 1), torch.zeros(8))
    x = augmented(given, speed=0.3, shift=0.3)
    assert x.shape == given.x.shape
    assert x.isfinite().all()
    assert not torch.equal(x, given.x)


def test_a_recording_alone_is_changed_as_it_is_in_a_padded_batch() -> None:
    x = batch().x
    speed, shift = torch.tensor([1.1, 0.9, 1.05, 1.2]), torch.tensor([0.1, -0.1, 0.2, 0.0])
    together = move(x, speed, shift, 4000, 4000)
    for i, length in enumerate(LENGTHS):
        alone = move(x[i : i + 1, :length], speed[i : i + 1], shift[i : i + 1], 4000, 4000)
        assert torch.allclose(alone[0], together[i], atol=1e-6, equal_nan=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_changes_recordings_as_the_cpu_does() -> None:
    options = {"noise": 0.2, "shift": 0.2, "speed": 0.2, "gain": 6.0}
    given = batch()
    there = augmented(Batch(given.x.cuda(), given.y.cuda()), **options)
    assert torch.allclose(there.cpu(), augmented(given, **options), atol=1e-4, equal_nan=True)
