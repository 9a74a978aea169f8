"""Known sets of speech, read from small files in their layouts and from the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sounds import tone, write

from dlkit.data.audio.known import fsdd, speech_commands, yesno
from dlkit.data.audio.words import cut
from dlkit.data.raw import Ragged


def make_fsdd(folder: Path) -> None:
    """Two digits by two speakers, seven times; a recording's length tells its index."""
    for digit in range(2):
        for speaker in ("anna", "ben"):
            for index in range(7):
                wave = tone(0.1 + 0.01 * index, 8000, 200 + 100 * digit)
                write(folder / "recordings" / f"{digit}_{speaker}_{index}.wav", wave, 8000)


def make_commands(root: Path) -> Path:
    """Two words by five speakers, one of them for validation and one for the test, and background noise."""
    folder = root / "SpeechCommands" / "speech_commands_v0.02"
    for word in ("yes", "no"):
        for speaker in range(5):
            write(folder / word / f"{speaker:08x}_nohash_0.wav", tone(0.3 + 0.1 * speaker, 16000), 16000)
    write(folder / "_background_noise_" / "tap.wav", tone(1, 16000), 16000)
    (folder / "validation_list.txt").write_text("no/00000001_nohash_0.wav\nyes/00000001_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("no/00000004_nohash_0.wav\nyes/00000004_nohash_0.wav\n")
    return folder


def spoken(labels: str, noise: float = 0.01) -> torch.Tensor:
    """A tone for each label, 600 Hz for 1 and 200 Hz for 0, with pauses between."""
    parts = [torch.zeros(1600)]
    for place, label in enumerate(labels):
        fade = torch.hann_window(2400 + 100 * place)
        parts += [tone(len(fade) / 8000, 8000, 600 if label == "1" else 200) * fade, torch.zeros(2400)]
    wave = torch.cat(parts)
    return wave + noise * torch.randn(len(wave))


@pytest.mark.parametrize("name", ["fsdd", "free-spoken-digit-dataset-1.0.10"])
def test_fsdd_tests_on_the_first_five_recordings_of_each(name: str, tmp_path: Path) -> None:
    make_fsdd(tmp_path / name)
    found = fsdd(root=str(tmp_path), cache=str(tmp_path / "cache"))
    (x, y), (test, test_y) = found.splits["train"], found.splits["test"]
    assert (y.tolist(), test_y.tolist()) == ([0] * 4 + [1] * 4, [0] * 10 + [1] * 10)
    assert x.lengths.tolist() == [1200, 1280] * 4
    assert sorted(set(test.lengths.tolist())) == [800, 880, 960, 1040, 1120]
    assert found.names["train"][1:3] == (f"{name}/recordings/0_anna_6.wav", f"{name}/recordings/0_ben_5.wav")
    assert found.names["test"][9] == f"{name}/recordings/0_ben_4.wav"


def test_fsdd_can_leave_speakers_out(tmp_path: Path) -> None:
    make_fsdd(tmp_path / "fsdd")
    found = fsdd(root=str(tmp_path), split="speakers", seconds=0.2, cache=str(tmp_path / "cache"))
    assert set(found.splits) == {"train"}
    assert found.groups is not None
    assert found.groups.tolist() == ([0] * 7 + [1] * 7) * 2
    assert found.splits["train"][0].shape == (28, 1600)
    assert found.names["train"][7] == "fsdd/recordings/0_ben_0.wav"


def test_fsdd_that_is_missing_or_damaged_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root: .*not found; unpack https://github.com/Jakobovski"):
        fsdd(root=str(tmp_path))
    make_fsdd(tmp_path / "fsdd")
    recordings = tmp_path / "fsdd" / "recordings"
    (recordings / "0_anna_0.wav").write_bytes(b"RIFF")
    write(recordings / "noise.wav", tone(0.1, 8000), 8000)
    with pytest.raises(
        ValueError,
        match=r"(?s)2 problems .*\(fetch the set anew\).*noise\.wav: expected the name.*0_anna_0\.wav: cannot",
    ):
        fsdd(root=str(tmp_path), cache=str(tmp_path / "cache"))


def test_speech_commands_are_split_by_the_publishers_lists(tmp_path: Path) -> None:
    make_commands(tmp_path)
    found = speech_commands(root=str(tmp_path), cache=str(tmp_path / "cache"))
    assert found.classes == ("no", "yes")
    assert {name: (tuple(x.shape), y.tolist()) for name, (x, y) in found.splits.items()} == {
        "train": ((6, 16000), [0, 0, 0, 1, 1, 1]),
        "val": ((2, 16000), [0, 1]),
        "test": ((2, 16000), [0, 1]),
    }
    spoken_for = (found.splits["test"][0] != 0).sum(1) / 16000
    assert torch.allclose(spoken_for, torch.tensor(0.7), atol=0.05)  # the fifth speaker


def test_words_can_be_chosen_and_must_be_there(tmp_path: Path) -> None:
    make_commands(tmp_path)
    cache = str(tmp_path / "cache")
    assert speech_commands(root=str(tmp_path), words=["yes"], cache=cache).classes == ("yes",)
    with pytest.raises(ValueError, match=r"data\.words: no stop in .*; there are no, yes"):
        speech_commands(root=str(tmp_path), words=["stop", "yes"], cache=cache)


def test_speech_commands_without_a_list_or_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"speech_commands_v0\.02 not found; .*data\.download=true"):
        speech_commands(root=str(tmp_path))
    (make_commands(tmp_path) / "testing_list.txt").unlink()
    with pytest.raises(ValueError, match=r"testing_list\.txt not found"):
        speech_commands(root=str(tmp_path), cache=str(tmp_path / "cache"))


@pytest.mark.parametrize(("source", "name"), [(speech_commands, "SPEECHCOMMANDS"), (yesno, "YESNO")])
def test_what_cannot_be_fetched_is_told_in_one_line(
    source: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **options: object) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(f"torchaudio.datasets.{name}", offline)
    with pytest.raises(ValueError, match=r"could not be fetched: no network$"):
        source(root=str(tmp_path), download=True)  # type: ignore[operator]


def test_a_recording_of_yesno_becomes_eight_words_with_their_labels(tmp_path: Path) -> None:
    for labels in ("01011001", "11110000"):
        write(tmp_path / "waves_yesno" / f"{'_'.join(labels)}.wav", spoken(labels), 8000)
    found = yesno(root=str(tmp_path), cache=str(tmp_path / "cache"))
    x, y = found.splits["train"]
    assert y.tolist() == [int(label) for label in "0101100111110000"]
    assert found.groups is not None
    assert found.groups.tolist() == [0] * 8 + [1] * 8
    assert isinstance(x, Ragged)
    for wave, label in zip(x.values.split(x.lengths.tolist()), y.tolist(), strict=True):
        frequency = int(torch.fft.rfft(wave, 8000).abs().argmax())
        assert abs(frequency - (600 if label else 200)) < 10
    assert yesno(root=str(tmp_path), seconds=0.5, cache=str(tmp_path / "cache")).splits["train"][0].shape == (16, 4000)


def test_recordings_without_eight_words_or_names_are_told_by_path(tmp_path: Path) -> None:
    folder = tmp_path / "waves_yesno"
    write(folder / "0_1_0_1_1_0_0_1.wav", spoken("0101"), 8000)
    write(folder / "0_1.wav", spoken("01"), 8000)
    with pytest.raises(
        ValueError,
        match=r"(?s)2 problems .*\(fetch the set anew\).*0_1\.wav: expected 8.*1_0_0_1\.wav: not found in it: 8",
    ):
        yesno(root=str(tmp_path), cache=str(tmp_path / "cache"))


def test_words_are_cut_where_they_are_and_clicks_are_none() -> None:
    wave = spoken("101")
    wave[1000] = 0.9
    found = cut(wave, 8000, 3)
    assert found is not None
    for place, word in enumerate(found):
        assert 0.5 * (2400 + 100 * place) < len(word) < 1.5 * (2400 + 100 * place)
    assert cut(wave, 8000, 5) is None
    assert cut(torch.zeros(8000), 8000, 3) is None


def test_the_real_digits_are_split_as_published(real_data: Path, tmp_path: Path) -> None:
    found = fsdd(root=str(real_data), cache=str(tmp_path))
    assert {name: len(y) for name, (_, y) in found.splits.items()} == {"train": 2700, "test": 300}
    assert torch.bincount(found.splits["test"][1]).tolist() == [30] * 10
    alone = fsdd(root=str(real_data), split="speakers", cache=str(tmp_path))
    assert alone.groups is not None
    assert torch.bincount(alone.groups).tolist() == [500] * 6


def test_the_real_commands_are_of_one_second(real_data: Path, tmp_path: Path) -> None:
    found = speech_commands(root=str(real_data), cache=str(tmp_path))
    assert all(x.shape[1] == 16000 for x, _ in found.splits.values())
    assert found.sample_rate == 16000
