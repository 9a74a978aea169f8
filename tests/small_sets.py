"""Small files in the layouts of the known sets, and of a user's own data, in one folder that stands for DLKIT_DATA."""

from __future__ import annotations

import gzip
import math
import struct
import wave
from pathlib import Path

import pytest
import small_tables
import small_texts
import torch
from PIL import Image

from dlkit.data.examples import Examples

SPEAKERS = ("ann", "bob", "cem")


def write_all(root: Path) -> None:
    """Everything below, in a second."""
    for write in (
        idx_files,
        small_texts.write_text_sets,
        digits,
        commands,
        yes_and_no,
        small_tables.write,
        own,
    ):
        write(root)


def put(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def idx_files(root: Path) -> None:
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for split, count in (("train", 60), ("t10k", 20)):
            pixels = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8).numpy().tobytes()
            labels = (torch.arange(count) % 10).to(torch.uint8).numpy().tobytes()
            head = struct.pack(">IIII", 2051, count, 28, 28)
            (raw / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels))
            (raw / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 2049, count) + labels))


def tone(seconds: float, frequency: float, rate: int) -> list[int]:
    return [round(9000 * math.sin(2 * math.pi * frequency * i / rate)) for i in range(round(seconds * rate))]


def record(path: Path, samples: list[int], rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def digits(root: Path) -> None:
    for digit in range(10):
        for number, speaker in enumerate(SPEAKERS):
            for index in (0, 5, 6):
                samples = tone(0.15 + 0.02 * digit, 200 + 30 * digit + number, 8000)
                record(root / "fsdd" / "recordings" / f"{digit}_{speaker}_{index}.wav", samples, 8000)


def commands(root: Path) -> None:
    place = root / "SpeechCommands" / "speech_commands_v0.02"
    names = [f"{word}/{i:08x}_nohash_0.wav" for i in range(20) for word in ("yes", "no")]
    for number, name in enumerate(names):
        record(place / name, tone(0.9, 200 + 5 * number, 16000), 16000)
    put(place / "validation_list.txt", names[::5])
    put(place / "testing_list.txt", names[1::5])


def yes_and_no(root: Path) -> None:
    silence = [0] * 2000
    for number in range(8):
        bits = [(number >> i) & 1 for i in range(8)]
        samples = silence + [s for bit in bits for s in tone(0.3 + 0.1 * bit, 300 + 100 * bit, 8000) + silence]
        record(root / "waves_yesno" / f"{'_'.join(map(str, bits))}.wav", samples, 8000)


def own(root: Path) -> None:
    """Folders and files of a user: pictures, recordings, texts, a table."""
    for i in range(60):
        kind = ("cat", "dog")[i % 2]
        path = root / "own" / "pictures" / kind / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (12, 10), bytes((i * j) % 256 for j in range(360))).save(path)
        record(root / "own" / "sounds" / kind / f"{i}.wav", tone(0.1 + 0.003 * i, 200 + i, 8000), 8000)
        put(root / "own" / "texts" / kind / f"{i}.txt", [small_texts.sentence(i)])
    put(
        root / "own" / "texts.csv",
        ["text,kind", *[f'"{small_texts.sentence(i)}",{("cat", "dog")[i % 2]}' for i in range(60)]],
    )
    rows = [f"{i % 7}.5,{('red', 'green')[i % 3 % 2]},{('cat', 'dog')[i % 2]}" for i in range(60)]
    put(root / "own" / "table.csv", ["size,colour,kind", *rows])


OWN = {  # what the choices for a user's own files want to know
    "image_folder": ("data.root={root}/own/pictures", "data.size=8"),
    "audio_folder": ("data.root={root}/own/sounds", "data.sample_rate=8000"),
    "text_folder": ("data.root={root}/own/texts",),
    "text_csv": ("data.path={root}/own/texts.csv", "data.text=text", "data.label=kind"),
    "table_csv": ("data.path={root}/own/table.csv", "data.target=kind"),
    "vowels": ("data.examples=200",),
}


def options(choice: str, root: Path) -> list[str]:
    """What to write on the command line to train on the small version of a data choice."""
    return [option.format(root=root) for option in OWN.get(choice, ())]


def fake_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts small pictures where large archives with checksums would be read (their readers have tests of their own)."""
    from dlkit.data.images import known as vision

    def pictures(*, root: str, download: bool) -> Examples:
        x, y = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8), torch.arange(60) % 10
        return Examples("image", "classification", {"train": (x, y), "test": (x[:20], y[:20])}, tuple("0123456789"))

    for name in ("cifar10", "cifar100", "svhn"):
        monkeypatch.setattr(vision, name, pictures)
