"""Data and models of the loops that are written by hand: what a user has who does not use dlkit."""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MODELS = ("logreg", "MLP", "CNN", "LSTM")
BATCH, CLASSES = 128, 10
TRAINING = 54_000  # of MNIST's 60,000: dlkit's training split
TEXTS, SHORTEST, LONGEST, WORDS = 50 * BATCH, 8, 64, 5000
POOL = 50  # batches sorted by length together, as dlkit does


def mnist_folder() -> Path:
    """Where MNIST's four files are, plain or .gz."""
    return Path(os.environ.get("DLKIT_DATA", "data")) / "MNIST" / "raw"


def mnist(split: str = "train") -> tuple[Tensor, Tensor]:
    """Images float32 (N, 1, 28, 28) in [0, 1] and classes; `split` is train or t10k."""
    images, labels = (_bytes(f"{split}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    x = torch.from_numpy(np.frombuffer(images, np.uint8, offset=16).astype(np.float32)).view(-1, 1, 28, 28)
    return x.div_(255), torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


def _bytes(name: str) -> bytes:
    path = mnist_folder() / name
    return path.read_bytes() if path.is_file() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())


def sentences(count: int = TEXTS, seed: int = 0) -> list[list[int]]:
    """Made texts, words 0 … WORDS − 1, all lengths equally frequent. The class of a text is its length modulo 10."""
    chance = random.Random(seed)
    lengths = [SHORTEST + i % (LONGEST - SHORTEST + 1) for i in range(count)]
    chance.shuffle(lengths)
    return [[chance.randrange(WORDS) for _ in range(length)] for length in lengths]


def write_texts(texts: list[list[int]], path: Path) -> None:
    """As a table that `data=text_csv` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows([" ".join(map(_word, text)), len(text) % CLASSES] for text in texts)


def _word(number: int) -> str:
    return "x" + "".join(chr(97 + number // 26**place % 26) for place in range(3))


def texts() -> tuple[Tensor, Tensor]:
    """Tokens int64 (N, LONGEST), padded with 0, and classes."""
    made = sentences()
    x = torch.zeros(len(made), LONGEST, dtype=torch.long)
    for row, text in zip(x, made, strict=True):
        row[: len(text)] = torch.tensor(text) + 2  # 0 is padding, 1 unknown
    return x, torch.tensor([len(text) % CLASSES for text in made])


def training(model: str) -> tuple[Tensor, Tensor]:
    """What a model is trained on."""
    if model == "LSTM":
        return texts()
    x, y = mnist()
    return x[:TRAINING].clone(), y[:TRAINING].clone()


class TextLSTM(nn.Module):
    """Tokens (B, T) to logits: word vectors, an LSTM, the maximum over real steps, a linear layer."""

    def __init__(self, units: int = 128) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS + 2, units)
        self.lstm = nn.LSTM(units, units, batch_first=True)
        self.head = nn.Linear(units, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out = self.lstm(self.words(x))[0]
        return self.head(out.masked_fill((x == 0).unsqueeze(-1), -torch.inf).amax(1))


def network(model: str) -> nn.Module:
    """The networks of dlkit's `logreg`, `mlp`, `cnn` and `lstm_text model.bidirectional=false model.dropout=0`."""
    if model == "LSTM":
        return TextLSTM()
    if model == "logreg":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, CLASSES))
    if model == "MLP":
        return mlp(256, 128)
    convolved = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    convolved += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*convolved, nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def mlp(*hidden: int, inputs: int = 784) -> nn.Sequential:
    """Linear layers with ReLU between."""
    widths = [inputs, *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for width, next_width in zip(widths, hidden, strict=False):
        layers += [nn.Linear(width, next_width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES))


class Batches:
    """Shuffled batches cut from tensors, made anew for each epoch, which has `steps` of them at most."""

    def __init__(self, x: Tensor, y: Tensor, steps: int = 10**9, batch_size: int = BATCH):
        self.x, self.y, self.batch_size = x, y, batch_size
        self.steps = min(steps, len(y) // batch_size)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in torch.randperm(len(self.y))[: self.steps * self.batch_size].split(self.batch_size):
            yield self.x[chosen], self.y[chosen]


def loss(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out, y)
