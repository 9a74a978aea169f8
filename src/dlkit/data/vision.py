"""Images: digits, MNIST, Fashion-MNIST and CIFAR-10."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dlkit.data import idx
from dlkit.data.examples import Examples
from dlkit.data.installed import installed

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def digits() -> Examples:
    """scikit-learn's 1,797 digits (1, 8, 8), 0 … 16, read from the installed package."""
    path = installed("digits", "digits.csv.gz")
    table = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.uint8))  # 64 pixels and the label
    return Examples("image", "classification", {"train": (table[:, :64].reshape(-1, 1, 8, 8), table[:, 64].long())})


def mnist(*, root: str, download: bool) -> Examples:
    """MNIST: 60,000 + 10,000 handwritten digits (1, 28, 28), from root/MNIST/raw."""
    return _idx_set("MNIST", Path(root).expanduser(), download, ())


def fashion_mnist(*, root: str, download: bool) -> Examples:
    """Fashion-MNIST: 60,000 + 10,000 pictures of garments (1, 28, 28), from root/FashionMNIST/raw."""
    return _idx_set("FashionMNIST", Path(root).expanduser(), download, GARMENTS)


def cifar10(*, root: str, download: bool) -> Examples:
    """CIFAR-10: 50,000 + 10,000 colour photographs (3, 32, 32), from root/cifar-10-batches-py."""
    from torchvision.datasets import CIFAR10  # here: the import costs a second

    folder = Path(root).expanduser()
    files = [name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)] + [CIFAR10.meta["filename"]]
    missing = [name for name in files if not (folder / CIFAR10.base_folder / name).is_file()]
    if missing and not download:
        raise ValueError(_not_found(folder / CIFAR10.base_folder, missing))
    with warnings.catch_warnings():
        # NumPy 2.4 warns of how NumPy 1 pickled its arrays; the files are what they are.
        warnings.filterwarnings("ignore", message=".*align should be passed")
        train = _fetch("CIFAR10", folder, lambda: CIFAR10(folder, train=True, download=download))
        test = _fetch("CIFAR10", folder, lambda: CIFAR10(folder, train=False, download=False))
    return Examples("image", "classification", {"train": _pixels(train), "test": _pixels(test)}, tuple(train.classes))


def _pixels(dataset: CIFAR10) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) and labels (N,) of torchvision's data set, which holds (N, 32, 32, 3)."""
    return torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets)


def _idx_set(name: str, root: Path, download: bool, classes: tuple[str, ...]) -> Examples:
    """Four IDX files in root/<name>/raw, plain or .gz; torchvision fetches what is missing if `download`."""
    folder = root / name / "raw"
    missing = [file for pair in FILES.values() for file in pair if idx.find(folder, file) is None]
    if missing and not download:
        raise ValueError(_not_found(folder, [f"{file}[.gz]" for file in missing]))
    if missing:
        import torchvision.datasets  # here: the import costs a second

        dataset = getattr(torchvision.datasets, name)
        _fetch(name, root, lambda: dataset(root, download=True))
    splits = {split: _read_pair(folder, *files) for split, files in FILES.items()}
    return Examples("image", "classification", splits, classes)


def _read_pair(folder: Path, images: str, labels: str) -> tuple[Tensor, Tensor]:
    """Images (N, 1, H, W) and labels (N,)."""
    paths = [idx.find(folder, name) for name in (images, labels)]
    assert paths[0] is not None and paths[1] is not None
    x, y = idx.read(paths[0], dims=3), idx.read(paths[1], dims=1)
    if len(x) != len(y):
        raise ValueError(f"{paths[1]}: {len(y)} labels for the {len(x)} images of {paths[0].name}; {idx.REMEDY}")
    return x.unsqueeze(1), y.long()


def _fetch(name: str, root: Path, make: Callable[[], Any]) -> Any:
    """What `make` returns; torchvision's and the network's errors become one line."""
    try:
        return make()
    except (OSError, RuntimeError, HTTPException) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"data.root={root}: {name} could not be fetched or read: {cause}") from error


def _not_found(folder: Path, names: list[str]) -> str:
    return f"{folder}: {', '.join(names)} not found; set data.root to where they are, or data.download=true"
