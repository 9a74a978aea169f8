"""A run of each kind, trained a little on small files with a test split of its own."""

from __future__ import annotations

from pathlib import Path

import sounds
from PIL import Image

import dlkit
from dlkit.run import Run

WORDS = {"good": ("lovely", "fine", "great", "warm"), "bad": ("dull", "awful", "cold", "weak")}
QUICK = ["trainer.epochs=5", "data.batch_size=full"]


def pictures(root: Path) -> Run:
    """Two classes of pictures of different sizes, in root/files/train and root/files/test."""
    for split, count in (("train", 12), ("test", 6)):
        for i in range(count):
            for kind, shade in (("dark", 40), ("light", 150)):
                size = (10 + i % 5, 12 + i % 3)
                pixels = bytes((shade + (7 * i * j) % 100) % 256 for j in range(3 * size[0] * size[1]))
                path = root / "files" / split / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.frombytes("RGB", size, pixels).save(path)
    return _train(
        root, "data=image_folder", f"data.root={root}/files", "data.size=8", f"data.cache={root}/.c", "model=cnn"
    )


def texts(root: Path, callbacks: str = "minimal") -> Run:
    """Sentences of two opinions, of different lengths, in root/files/train.csv and root/files/test.csv."""
    (root / "files").mkdir(parents=True)
    for split, count in (("train", 40), ("test", 15)):
        lines = ["text,opinion"]
        for i in range(count):
            opinion = ("good", "bad")[i % 2]
            said = " ".join(WORDS[opinion][(i + k) % 4] for k in range(1 + i % 6))
            lines.append(f'"a film, {said}",{opinion}')
        (root / "files" / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = ("data.text=text", "data.label=opinion")
    files = (f"data.path={root}/files/train.csv", f"data.test_path={root}/files/test.csv")
    return _train(root, "data=text_csv", *files, *columns, "model=cnn_text", callbacks=callbacks)


def table(root: Path, callbacks: str = "minimal") -> Run:
    """Numbers, some missing, and words, with a number to predict, in root/files/train.csv and root/files/test.csv."""
    (root / "files").mkdir(parents=True)
    for split, count in (("train", 60), ("test", 30)):
        lines = ["price,rooms,colour,area"]
        for i in range(count):
            rooms, colour = "?" if i % 7 == 0 else str(1 + i % 5), ("red", "green", "blue")[i % 3]
            lines.append(f"{1000 + 37 * (i % 50) + (i % 3)},{rooms},{colour},{20.5 + i % 50}")
        (root / "files" / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = (f"data.path={root}/files/train.csv", f"data.test_path={root}/files/test.csv")
    options = ("data.target=price", "data.task=regression")
    return _train(root, "data=table_csv", *files, *options, "model=mlp", callbacks=callbacks)


def recordings(root: Path, callbacks: str = "minimal") -> Run:
    """Tones of two pitches, of different rates and lengths, in root/files/train and root/files/test."""
    for split, count in (("train", 10), ("test", 6)):
        for i in range(count):
            for kind, pitch in (("low", 200), ("high", 700)):
                rate = (8000, 16000)[i % 2]
                wave = sounds.tone(0.1 + 0.02 * i, rate, pitch + 10 * i)
                sounds.write(root / "files" / split / kind / f"{i}.{('wav', 'flac')[i % 3 // 2]}", wave, rate)
    options = (f"data.root={root}/files", "data.sample_rate=8000", f"data.cache={root}/.c")
    return _train(root, "data=audio_folder", *options, "model=cnn_speech", callbacks=callbacks)


def _train(root: Path, *options: str, callbacks: str = "minimal") -> Run:
    return dlkit.train([*options, f"callbacks={callbacks}", *QUICK, "data.val_fraction=0.2", f"run_dir={root}/run"])
