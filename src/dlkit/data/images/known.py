"""Known sets of images: digits; MNIST, Fashion-MNIST and KMNIST; CIFAR-10 and CIFAR-100; SVHN."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.data.images import idx
from dlkit.data.reading.download import REMEDY
from dlkit.data.reading.installed import installed

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CHARACTERS = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def digits() -> Examples:
    """scikit-learn's 1,797 digits (1, 8, 8), 0 … 16, read from the installed package."""
    path = installed("digits", "digits.csv.gz")
    text = gzip.decompress(path.read_bytes()).decode().replace("\n", ",")
    numbers = np.fromstring(text, np.uint8, sep=",")  # in a tenth of the time of `loadtxt`
    table = torch.from_numpy(numbers).view(-1, 65)  # 64 pixels and the label
    return Examples("image", "classification", {"train": (table[:, :64].reshape(-1, 1, 8, 8), table[:, 64].long())})


def mnist(*, root: str, download: bool) -> Examples:
    """MNIST: 60,000 + 10,000 handwritten digits (1, 28, 28), from root/MNIST/raw."""
    return _idx_set("MNIST", Path(root).expanduser(), download, ())


def fashion_mnist(*, root: str, download: bool) -> Examples:
    """Fashion-MNIST: 60,000 + 10,000 pictures of garments (1, 28, 28), from root/FashionMNIST/raw."""
    return _idx_set("FashionMNIST", Path(root).expanduser(), download, GARMENTS)


def kmnist(*, root: str, download: bool) -> Examples:
    """Kuzushiji-MNIST: 60,000 + 10,000 characters of old Japanese cursive (1, 28, 28), from root/KMNIST/raw."""
    return _idx_set("KMNIST", Path(root).expanduser(), download, CHARACTERS)


def cifar10(*, root: str, download: bool) -> Examples:
    """CIFAR-10: 50,000 + 10,000 colour photographs (3, 32, 32), from root/cifar-10-batches-py."""
    from torchvision.datasets import CIFAR10  # here: the import costs a second

    return _cifar(CIFAR10, Path(root).expanduser(), download)


def cifar100(*, root: str, download: bool) -> Examples:
    """CIFAR-100: 50,000 + 10,000 colour photographs (3, 32, 32), the 100 fine classes, from root/cifar-100-python."""
    from torchvision.datasets import CIFAR100  # here: the import costs a second

    return _cifar(CIFAR100, Path(root).expanduser(), download)


def svhn(*, root: str, download: bool) -> Examples:
    """SVHN: 73,257 + 26,032 house numbers cut to one digit (3, 32, 32), from root/SVHN/{train,test}_32x32.mat."""
    from torchvision.datasets import SVHN  # here: the import costs a second

    folder = Path(root).expanduser() / "SVHN"
    _expect(folder, _absent(folder, [SVHN.split_list[split][1] for split in ("train", "test")]), download)
    splits = {}
    for split in ("train", "test"):
        made = _fetch("SVHN", folder, partial(SVHN, folder, split=split, download=download))
        splits[split] = (torch.from_numpy(made.data.copy(order="C")), torch.from_numpy(made.labels))
    return Examples("image", "classification", splits, tuple("0123456789"))


def _cifar(kind: Any, root: Path, download: bool) -> Examples:
    """What `kind` reads, torchvision's CIFAR10 or CIFAR100; it checks the files and, if `download`, fetches them."""
    files = [name for name, _ in (*kind.train_list, *kind.test_list)] + [kind.meta["filename"]]
    _expect(root / kind.base_folder, _absent(root / kind.base_folder, files), download)
    splits = {}
    for split in ("train", "test"):
        with warnings.catch_warnings():
            # NumPy 2.4 warns of how NumPy 1 pickled its arrays; the files are what they are.
            warnings.filterwarnings("ignore", message=".*align should be passed")
            made = _fetch(kind.__name__, root, partial(kind, root, train=split == "train", download=download))
        x = torch.from_numpy(made.data).permute(0, 3, 1, 2).contiguous()  # torchvision has (N, 32, 32, 3)
        splits[split] = (x, torch.tensor(made.targets))
    return Examples("image", "classification", splits, tuple(made.classes))


def _idx_set(name: str, root: Path, download: bool, classes: tuple[str, ...]) -> Examples:
    """Four IDX files in root/<name>/raw, plain or .gz; torchvision fetches what is missing if `download`."""
    folder = root / name / "raw"
    missing = [f"{file}[.gz]" for pair in FILES.values() for file in pair if idx.find(folder, file) is None]
    _expect(folder, missing, download)
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
        raise ValueError(f"{paths[1]}: {len(y)} labels for the {len(x)} images of {paths[0].name}; {REMEDY}")
    return x.unsqueeze(1), y.long()


def _fetch(name: str, root: Path, make: Callable[[], Any]) -> Any:
    """What `make` returns; torchvision's and the network's errors become one line."""
    try:
        return make()
    except (OSError, RuntimeError, HTTPException) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"data.root={root}: {name} could not be fetched or read: {cause}") from error


def _expect(folder: Path, missing: list[str], download: bool) -> None:
    """Raises ValueError where files are missing and will not be fetched."""
    if missing and not download:
        raise ValueError(
            f"{folder}: {', '.join(missing)} not found; set data.root to where they are, or data.download=true"
        )


def _absent(folder: Path, names: list[str]) -> list[str]:
    return [name for name in names if not (folder / name).is_file()]
