"""Pictures and recordings one by one: which files are meant, and pixels on the scale of training."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import sounds
import torch
from PIL import Image

from dlkit.data.audio.waves import Waves
from dlkit.data.inputs import inputs_for
from dlkit.data.inputs.files import OF_FILES
from dlkit.data.inputs.found import files
from dlkit.data.scale import Scale
from dlkit.types import Spec

IMAGE = Spec("image", (1, 2, 4), 2, "classification", ("a", "b"))
SOUND = Spec("waveform", (), 2, "classification", ("a", "b"), sample_rate=8000)


def scale(low: float, high: float) -> Scale:
    encoder = Scale()
    encoder.fit(torch.tensor([low, high]).reshape(2, 1, 1, 1))
    return encoder


def picture(path: Path, value: int, size: tuple[int, int] = (8, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def test_folders_are_searched_by_name_and_hidden_files_passed_over(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.PNG", "b/x.txt", "b/.h.png", ".git/1.png", "a.png", "c/d/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = list(files([str(tmp_path), "named.gif", str(tmp_path / "b" / "x.txt")], {".png"}))
    within = [Path(path).relative_to(tmp_path).as_posix() for path in found if path != "named.gif"]
    assert within == ["a.png", "b/10.PNG", "b/2.png", "c/d/e.png", "b/x.txt"]
    assert found[4] == "named.gif"


def test_pictures_are_read_in_order_and_bad_ones_told_with_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlkit.data.inputs.files.CHUNK", 2)
    picture(Path("a.png"), 10), picture(Path("many/b.png"), 20), picture(Path("many/c.bmp"), 30)
    Path("bad.png").write_text("no picture")
    Path("none").mkdir()
    reader = inputs_for(IMAGE, scale(0, 255), {})
    found = list(reader.stream(["./a.png", "bad.png", "many", "gone.png", "none", "a.png"]))
    assert [one.name for one in found] == [
        *("./a.png", "bad.png", "many/b.png", "many/c.bmp", "gone.png", "none", "a.png")
    ]
    assert [None if one.raw is None else int(one.raw[0, 0, 0]) for one in found] == [10, None, 20, 30, None, None, 10]
    assert [one.why for one in found if one.why] == [
        "not an image that Pillow reads, whatever its name says",
        "no such file",
        "no file in this folder is of a kind that this model takes",
    ]
    assert found[0].raw.shape == (1, 2, 4)


def test_paths_come_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture(Path("a b.png"), 10), picture(Path("c.png"), 20)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a b.png\n\nc.png"))))
    found = list(inputs_for(IMAGE, scale(0, 255), {}).stream(["-"]))
    assert [(one.name, int(one.raw[0, 0, 0])) for one in found] == [("a b.png", 10), ("c.png", 20)]


@pytest.mark.parametrize(
    ("high", "source", "expected"),
    [
        (16, "dlkit.data.images.known.digits", 16.0),
        (1, "own.pictures", 1.0),
        (200, "own.pictures", 255.0),
        (255, "dlkit.data.images.known.mnist", 255.0),
        (16, OF_FILES, 255.0),  # dark pictures
    ],
)
def test_white_becomes_the_brightest_value_of_a_scale_of_its_own(
    tmp_path: Path, high: float, source: str, expected: float
) -> None:
    reader = inputs_for(IMAGE, scale(0, high), {"_target_": source})
    white = reader.raw(picture(tmp_path / "white.png", 255))
    assert white.float().unique().tolist() == [expected]
    assert reader.raw(np.full((3, 5), 255, np.uint8)).float().unique().tolist() == [expected]
    assert bool(reader.note) == (expected != 255)
    raw = torch.full(IMAGE.input_shape, 7, dtype=torch.uint8)
    assert torch.equal(reader.raw(raw), raw)


def test_the_range_of_training_is_kept_with_the_encoder() -> None:
    fresh = Scale()
    fresh.load_state_dict(scale(-1, 16).state_dict())
    assert fresh.range == (-1, 16)
    old = scale(0, 16).state_dict()
    del old["range"]
    fresh.load_state_dict(old)
    assert fresh.range == (0, 255)


def test_files_are_refused_where_pixels_were_normalised_or_have_other_channels() -> None:
    with pytest.raises(ValueError, match="trained on pixels below 0"):
        inputs_for(IMAGE, scale(-2, 2), {}).stream(["a.png"])
    four = Spec("image", (4, 2, 2), 2, "classification", ("a", "b"))
    with pytest.raises(ValueError, match="images of 4 channels; pictures have 1 or 3"):
        inputs_for(four, scale(0, 255), {}).stream(["a.png"])


def test_recordings_have_the_rate_and_length_of_training(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.wav", sounds.tone(0.5, 16000), 16000)
    fixed, free = Waves(), Waves()
    fixed.fit(torch.zeros(2, 2000))
    read = {encoder: inputs_for(SOUND, encoder, {}) for encoder in (fixed, free)}
    assert read[fixed].raw(path).shape == (2000,)
    assert read[fixed].raw(torch.ones(100)).sum() == 100
    assert read[fixed].raw(torch.ones(100)).shape == (2000,)
    assert read[free].raw(path).shape == (4000,)
    (one,) = read[free].stream([str(tmp_path)])
    assert torch.equal(one.raw, read[free].raw(path))
