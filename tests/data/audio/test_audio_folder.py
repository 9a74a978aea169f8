"""A user's own recordings: a folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import OPTIONS
from sounds import tone, write

from dlkit.data.audio import recordings
from dlkit.data.audio.folder import audio_folder
from dlkit.data.audio.waves import read_wave
from dlkit.data.prepare import load
from dlkit.data.raw import Files, Ragged


def make(root: Path, count: int = 4, classes: tuple[str, ...] = ("high", "low"), rate: int = 8000) -> None:
    """`count` tones of different lengths for each class, by speakers s0, s1 in turn."""
    for number, name in enumerate(classes):
        for i in range(count):
            wave = tone(0.1 + 0.02 * i, rate, 300 * (number + 1))
            write(root / name / f"s{i % 2}_{i}.wav", wave, rate)


def read(root: Path, **options: Any) -> Any:
    return audio_folder(**{"root": str(root), "sample_rate": 8000, "cache": str(root.parent / "cache"), **options})


def test_any_rate_number_of_channels_kind_and_case_becomes_one_waveform_each(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write(root / "a" / "1.wav", tone(0.2, 8000), 8000)
    write(root / "a" / "deeper" / "2.FLAC", tone(0.3, 16000), 16000)
    write(root / "b" / "3.WAV", torch.stack([tone(0.1, 44100)] * 2, 1), 44100, "PCM_24")
    write(root / "b" / "4.flac", tone(0.4, 22050), 22050)
    write(root / "b" / ".hidden.wav", tone(0.4, 22050), 22050)
    (root / "README.md").write_text("beside the classes")
    found = read(root)
    x, y = found.splits["train"]
    assert isinstance(x, Ragged)
    assert x.lengths.tolist() == [1600, 2400, 800, 3200]
    assert (y.tolist(), found.classes, found.sample_rate) == ([0, 0, 1, 1], ("a", "b"), 8000)
    x, _ = read(root, seconds=0.25).splits["train"]
    assert x.shape == (4, 2000)


def test_folders_train_val_and_test_are_splits(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for split, count in (("train", 4), ("Validation", 2), ("test", 3)):
        make(root / split, count)
    found = read(root)
    assert {name: len(y) for name, (_, y) in found.splits.items()} == {"train": 8, "val": 4, "test": 6}


def test_a_class_may_be_called_train_but_a_split_has_one_folder(tmp_path: Path) -> None:
    make(tmp_path / "data", classes=("train", "tram"))
    assert read(tmp_path / "data").classes == ("train", "tram")
    for split in ("train", "val", "valid"):
        make(tmp_path / "other" / split)
    with pytest.raises(ValueError, match="val and valid both mean val; keep one"):
        read(tmp_path / "other")


def test_a_folder_beside_the_splits_and_a_file_beside_the_classes_are_told(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for split in ("train", "test", "extra"):
        make(root / split)
    write(root / "train" / "stray.wav", tone(0.1, 8000), 8000)
    with pytest.raises(
        ValueError, match=r"(?s)extra: not one of train, val, test.*stray\.wav: lies in no class's folder"
    ):
        read(root)


def bad_folder(root: Path) -> None:
    """One of each mistake beside four good files."""
    make(root / "train", 4)
    make(root / "test", 2)
    (root / "train" / "low" / "broken.wav").write_text("no recording")
    (root / "train" / "low" / "empty.wav").touch()
    (root / "train" / "low" / "notes.txt").write_text("of another kind")
    write(root / "train" / "high" / "nan.wav", torch.full((900,), torch.nan), 8000, "FLOAT")
    write(root / "train" / "high" / "click.wav", torch.zeros(10), 8000)
    write(root / "train" / "single" / "one.wav", tone(0.1, 8000), 8000)
    write(root / "train" / "halved" / "good.wav", tone(0.1, 8000), 8000)
    (root / "train" / "halved" / "broken.wav").write_text("the only other one")
    (root / "train" / "none").mkdir()
    write(root / "test" / "unknown" / "a.wav", tone(0.1, 8000), 8000)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    root = tmp_path / "data"
    bad_folder(root)
    with pytest.raises(ValueError, match="10 problems") as caught:
        read(root)
    for line in (
        "low/broken.wav: cannot be read as audio",
        "low/empty.wav: the file is empty",
        "low/notes.txt: not a WAV or FLAC file",
        "high/nan.wav: holds NaN",
        "high/click.wav: shorter than",
        "single/one.wav: the only file of its class",
        "halved/good.wav: the only file of its class",
        "halved/broken.wav: cannot be read",
        "train/none: a class without files",
        "unknown/a.wav: in test, but the training split",
    ):
        assert line in str(caught.value)


def test_what_is_wrong_can_be_left_out_and_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "data"
    bad_folder(root)
    found = read(root, on_error="skip")
    assert found.classes == ("high", "low")
    assert {name: y.tolist() for name, (_, y) in found.splits.items()} == {
        "train": [0] * 4 + [1] * 4,
        "test": [0, 0, 1, 1],
    }
    assert any(note.startswith("left out 2: cannot be read as audio; is it damaged") for note in found.notes)
    x, _ = found.splits["train"]
    wave = read_wave(root / "train" / "high" / "s1_3.wav", 8000, None)
    assert torch.equal(x.values.split(x.lengths.tolist())[3], wave)  # rows keep their files


@pytest.mark.parametrize("seconds", [None, 0.1])
def test_silent_recordings_are_counted_and_one_is_named(tmp_path: Path, seconds: float | None) -> None:
    root = tmp_path / "data"
    make(root)
    assert read(root, seconds=seconds).notes == ()
    for name in ("a.wav", "b.wav"):
        write(root / "low" / name, torch.zeros(900), 8000)
    for _ in range(2):  # read, and from the cache
        assert read(root, seconds=seconds).notes == (f"2 silent, such as {root / 'low' / 'a.wav'}",)


def test_a_folder_that_is_missing_or_holds_no_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root=.*nowhere: no such folder"):
        read(tmp_path / "nowhere")
    make(tmp_path / "data", classes=("only",))
    with pytest.raises(ValueError, match="1 class"):
        read(tmp_path / "data")


def test_groups_found_in_the_paths_stay_in_one_split(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make(root)
    found = read(root, group="/(s[0-9]+)_")
    assert found.groups is not None
    assert found.groups.tolist() == [0, 0, 1, 1] * 2  # in the order of the paths
    with pytest.raises(ValueError, match=r"s0_0\.wav: data\.group='\(x\)' is not found"):
        read(root, group="(x)")


def test_what_exceeds_the_limit_is_streamed_and_is_the_same(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make(root)
    whole, files = read(root, seconds=0.1), read(root, seconds=0.1, memory_limit=1e-6, workers=0)
    assert isinstance(files.splits["train"][0], Files)
    assert "data.memory_limit" in files.notes[0]
    options = OPTIONS | {"batch_size": 4}
    resident, streamed = (load(one, 0, "cpu", **options) for one in (whole, files))
    for _, a, b in zip(range(4), resident.train(0), streamed.train(0), strict=False):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


def test_headers_of_streamed_files_are_checked(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make(root)
    (root / "low" / "broken.wav").write_text("no recording")
    write(root / "low" / "click.wav", torch.zeros(10), 8000)
    with pytest.raises(ValueError, match=r"(?s)2 problems.*broken\.wav.*click\.wav"):
        read(root, seconds=0.1, memory_limit=1e-6)


def test_different_lengths_beyond_the_limit_are_refused_with_a_remedy(tmp_path: Path) -> None:
    make(tmp_path / "data")
    with pytest.raises(ValueError, match=r"data\.memory_limit=1e-06: .*set data\.seconds"):
        read(tmp_path / "data", memory_limit=1e-6)
    read(tmp_path / "data")
    with pytest.raises(ValueError, match=r"data\.memory_limit=1e-06: .*GB together; raise it"):  # cached now
        read(tmp_path / "data", memory_limit=1e-6)


def test_files_are_decoded_once_and_anew_when_one_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    make(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    decoded: list[Path] = []

    def counting(path: Path, **options: Any) -> torch.Tensor:
        decoded.append(path)
        return read_wave(path, **options)

    monkeypatch.setattr(recordings, "read_wave", counting)
    first, second = read(root), read(root)
    assert len(decoded) == 8
    assert first.fingerprint() == second.fingerprint()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before  # nothing is written into the data
    read(root, sample_rate=4000)
    assert len(decoded) == 16
    write(root / "low" / "s0_0.wav", tone(0.5, 8000), 8000)
    assert read(root).fingerprint() != first.fingerprint()


def test_workers_change_nothing(tmp_path: Path) -> None:
    make(tmp_path / "data")
    alone, many = (read(tmp_path / "data", workers=n, cache=str(tmp_path / f"cache{n}")) for n in (0, 3))
    assert alone.fingerprint() == many.fingerprint()


def test_classes_can_be_named_and_may_lack_files(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make(root, 1, ("low", "wolf"))
    with pytest.raises(ValueError, match=r"(?s)1 problem .*s0_0\.wav: class 'wolf' is none of low, high"):
        read(root, classes=["low", "high"])
    found = read(root, classes=["high", "low"], on_error="skip")
    assert (found.classes, found.splits["train"][1].tolist()) == (("high", "low"), [1])


@pytest.mark.parametrize("options", [{}, {"seconds": 0.1, "memory_limit": 1e-6}])
def test_recordings_have_the_names_of_their_files_below_the_root(tmp_path: Path, options: dict[str, Any]) -> None:
    root = tmp_path / "data"
    make(root, 3)
    (root / "high" / "s1_1.wav").write_text("no recording")
    found = read(root, on_error="skip", **options)
    assert found.names == {"train": ("high/s0_0.wav", "high/s0_2.wav", "low/s0_0.wav", "low/s0_2.wav", "low/s1_1.wav")}
