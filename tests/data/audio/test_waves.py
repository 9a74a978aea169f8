"""Reading one recording, and bringing recordings to one level."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sounds import tone, write
from torchaudio.functional import resample

from dlkit.data.audio.waves import Waves, read_wave
from dlkit.data.raw import Ragged

LEVELS = ("none", "peak", "rms")


def ragged() -> Ragged:
    """A loud, a quiet, a silent and a short recording."""
    return Ragged.of([tone(0.1, 8000), 0.01 * torch.randn(500), torch.zeros(300), torch.tensor([0.25, -0.5])])


@pytest.mark.parametrize("suffix", ["wav", "flac", "WAV", "FLAC"])
def test_a_file_is_read_as_it_was_written(suffix: str, tmp_path: Path) -> None:
    wave = torch.randint(-32768, 32768, (4000,)).float() / 32768
    assert torch.equal(read_wave(write(tmp_path / f"a.{suffix}", wave, 8000), 8000, None), wave)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(0.5, 8000), tone(0.5, 8000, 700)
    path = write(tmp_path / "a.wav", torch.stack([left, right], 1), 8000, "FLOAT")
    assert torch.allclose(read_wave(path, 8000, None), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [11025, 16000, 44100])
def test_another_rate_is_resampled_as_torchaudio_does_and_a_tone_stays_that_tone(rate: int, tmp_path: Path) -> None:
    wave = tone(0.5, rate, 300)
    read = read_wave(write(tmp_path / "a.wav", wave, rate, "FLOAT"), 8000, None)
    assert torch.allclose(read, resample(wave.double(), rate, 8000).float(), atol=1e-4)
    middle = slice(500, 3500)  # the ends ring
    assert torch.allclose(read[middle], tone(0.5, 8000, 300)[middle], atol=2e-3)


def test_seconds_keep_the_middle_of_a_long_recording_and_put_zeros_behind_a_short_one(tmp_path: Path) -> None:
    wave = torch.linspace(-0.5, 0.5, 1000)
    path = write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    assert torch.equal(read_wave(path, 8000, 0.1), wave[100:900])
    assert torch.equal(read_wave(path, 8000, 0.15), torch.cat([wave, torch.zeros(200)]))


def test_seconds_too_few_for_a_recording_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.5, 8000), 8000)
    with pytest.raises(ValueError, match=r"data\.seconds=0\.001: expected 0\.025 or more"):
        read_wave(path, 8000, 0.001)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no recording")
    write(tmp_path / "nothing.wav", torch.zeros(0), 8000)
    write(tmp_path / "click.wav", torch.zeros(100), 8000)
    write(tmp_path / "nan.wav", torch.tensor([0.0, torch.nan] * 400), 8000, "FLOAT")
    whole = write(tmp_path / "cut.flac", torch.randn(8000).clamp(-1, 1), 8000).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    reasons = {"text.wav": "cannot be read", "nothing.wav": "no samples", "click.wav": "shorter than 0.025 s"}
    for name, why in {**reasons, "nan.wav": "NaN", "cut.flac": "damaged"}.items():
        with pytest.raises(ValueError, match=f"{name}: .*{why}"):
            read_wave(tmp_path / name, 8000, None)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_each_recordings_own(level: str) -> None:
    raw = ragged()
    encoded = Waves(level=level).encode(raw)
    for wave, out in zip(
        raw.values.split(raw.lengths.tolist()), encoded.values.split(raw.lengths.tolist()), strict=True
    ):
        scale = {"none": torch.tensor(1.0), "peak": wave.abs().max(), "rms": wave.square().mean().sqrt()}[level]
        assert torch.allclose(out, wave / scale if scale > 0 else wave, atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_recordings_in_a_padded_batch_are_encoded_as_they_are_alone(level: str) -> None:
    raw, encoder = ragged(), Waves(level=level)
    everyone = torch.arange(len(raw))
    batch = encoder.encode(raw.padded(everyone))
    assert torch.allclose(batch, encoder.encode(raw).padded(everyone), atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("level", LEVELS)
def test_silence_stays_silence(level: str) -> None:
    assert torch.equal(Waves(level=level).encode(torch.zeros(2, 50)), torch.zeros(2, 50))


def test_the_state_says_how_to_read_a_new_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.3, 16000), 16000)
    raw = torch.stack([read_wave(path, 8000, 0.2)] * 2)
    fitted = Waves(level="peak")
    fitted.fit(raw)
    restored = Waves()
    restored.load_state_dict(fitted.state_dict())
    assert restored.samples is not None
    again = restored.encode(read_wave(path, 8000, restored.samples / 8000).unsqueeze(0))
    assert torch.equal(again[0], fitted.encode(raw)[0])
    fitted.fit(ragged())
    assert fitted.state_dict() == {"level": "peak", "samples": None}
