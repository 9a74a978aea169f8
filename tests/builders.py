"""Small data sets for the tests of this folder."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkit.data import Examples, Ragged
from dlkit.data.prepare import load
from dlkit.data.resident import ResidentData
from dlkit.data.scale import Scale
from dlkit.types import Encoder

OPTIONS: dict[str, Any] = {"batch_size": 8, "val_fraction": 0.0, "test_fraction": 0.0, "split_seed": 0}


class AsIs:
    """An encoder that leaves tensors and sequences as they are."""

    def __init__(self, kind: str = "tabular"):
        self.kind = kind

    def fit(self, raw: Any) -> None:
        pass

    def encode(self, raw: Any, device: Any = "cpu") -> Any:
        return raw.to(device)

    def promises(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def numbered(count: int, *, classes: int = 4) -> Examples:
    """A table whose only column is the example's number, so that it can be recognised in a batch."""
    x = torch.arange(count, dtype=torch.float32).unsqueeze(1)
    return Examples("tabular", "classification", {"train": (x, torch.arange(count) % classes)})


def images(count: int = 20, channels: int = 3, side: int = 8) -> Examples:
    x = torch.randint(0, 256, (count, channels, side, side), generator=torch.manual_seed(0), dtype=torch.uint8)
    return Examples("image", "classification", {"train": (x, torch.arange(count) % 2)})


def sequences(count: int = 200, low: int = 8, high: int = 64) -> Examples:
    """Waveforms of `low` to `high` samples, those of number k all k; labels k mod 4."""
    lengths = torch.randint(low, high + 1, (count,), generator=torch.manual_seed(0))
    values = Ragged.of(torch.full((int(length),), float(k)) for k, length in enumerate(lengths))
    return Examples("waveform", "classification", {"train": (values, torch.arange(count) % 4)}, sample_rate=8)


def resident(examples: Examples, encoder: Encoder | None = None, **options: Any) -> ResidentData:
    """`load` on the CPU with `OPTIONS`, any of them replaced; without an encoder, values stay as they are."""
    usual = {"image": Scale(normalize="none"), "tabular": AsIs(), "waveform": AsIs("waveform")}
    data = load(examples, encoder=encoder or usual[examples.kind], **{"seed": 0, "device": "cpu", **OPTIONS, **options})
    assert isinstance(data, ResidentData)
    return data


def idx_bytes(values: Tensor) -> bytes:
    header = bytes([0, 0, 8, values.dim()]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + bytes(values.flatten().tolist())


def write_idx_set(folder: Path, *, compressed: bool, train: int = 12, test: int = 5) -> None:
    """Four files like those of MNIST, with 6x6 random pixels and labels 0 … 9."""
    folder.mkdir(parents=True)
    generator = torch.manual_seed(0)
    for prefix, count in (("train", train), ("t10k", test)):
        pixels = torch.randint(0, 256, (count, 6, 6), generator=generator)
        for name, values in (
            (f"{prefix}-images-idx3-ubyte", pixels),
            (f"{prefix}-labels-idx1-ubyte", torch.arange(count) % 10),
        ):
            content = idx_bytes(values)
            path = folder / (name + ".gz" * compressed)
            path.write_bytes(gzip.compress(content) if compressed else content)
