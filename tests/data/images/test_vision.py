import gzip
import hashlib
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets
from builders import write_idx_set
from scipy.io import savemat
from sklearn.datasets import load_digits

from dlkit.data.images import known as vision
from dlkit.data.images.known import cifar10, cifar100, digits, fashion_mnist, kmnist, mnist, svhn


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **options):
        raise URLError("no network\nhere")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def test_digits_equal_sklearn():
    expected = load_digits()
    x, y = digits().splits["train"]
    assert np.array_equal(x[:, 0].numpy(), expected.images) and np.array_equal(y.numpy(), expected.target)
    assert digits().classes == tuple(map(str, range(10)))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("source", "reference"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST"), (kmnist, "KMNIST")]
)
def test_mnist_files_are_read_as_torchvision_reads_them(tmp_path, source, reference, compressed, monkeypatch, offline):
    write_idx_set(tmp_path / "ours" / reference / "raw", compressed=compressed)
    write_idx_set(tmp_path / "theirs" / reference / "raw", compressed=False)
    examples = source(root=str(tmp_path / "ours"), download=True)
    for split, train in (("train", True), ("test", False)):
        dataset = getattr(torchvision.datasets, reference)(tmp_path / "theirs", train=train)
        x, y = examples.splits[split]
        assert torch.equal(x[:, 0], dataset.data) and torch.equal(y, dataset.targets)
    if source is not mnist:
        assert list(examples.classes) == getattr(torchvision.datasets, reference).classes


def test_compressed_files_are_not_unpacked_into_their_folder(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    write_idx_set(folder, compressed=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    mnist(root=str(tmp_path), download=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_missing_files_are_named_without_a_download(tmp_path):
    write_idx_set(tmp_path / "MNIST" / "raw", compressed=True)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError) as caught:
        mnist(root=str(tmp_path), download=False)
    assert str(caught.value) == (
        f"{tmp_path / 'MNIST' / 'raw'}: t10k-labels-idx1-ubyte[.gz] not found; "
        "set data.root to where they are, or data.download=true"
    )


@pytest.mark.parametrize("source", [mnist, kmnist, cifar10, cifar100, svhn])
def test_a_failing_download_is_one_line_with_its_cause(tmp_path, source, offline):
    with pytest.raises(ValueError, match=r"data.root=.*could not be fetched or read: .*no network here") as caught:
        source(root=str(tmp_path), download=True)
    assert "\n" not in str(caught.value)


def damage(path, change):
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    content = change(content)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"<html>" + content, r"it starts with 3c68746d, expected 00000803"),
        (lambda content: content[:-3], r"445 bytes, expected 448 for shape \(12, 6, 6\)"),
        (lambda content: content + b"more", r"452 bytes, expected 448 for shape \(12, 6, 6\)"),
        (lambda content: b"", "it starts with , expected 00000803"),
    ],
)
def test_a_damaged_file_is_named_with_what_was_expected(tmp_path, compressed, change, message):
    write_idx_set(tmp_path / "MNIST" / "raw", compressed=compressed)
    path = tmp_path / "MNIST" / "raw" / ("train-images-idx3-ubyte" + ".gz" * compressed)
    damage(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        mnist(root=str(tmp_path), download=True)
    assert str(caught.value).startswith(f"{path} is damaged") and "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda c: c[:-20], lambda c: c[:-8] + b"\0\0\0\0" + c[-4:], lambda c: b"text" + c])
def test_a_damaged_compression_is_found_by_its_crc_or_end(tmp_path, change):
    write_idx_set(tmp_path / "MNIST" / "raw", compressed=True)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is damaged: expected gzip"):
        mnist(root=str(tmp_path), download=False)


def test_labels_of_another_number_than_images_are_refused(tmp_path):
    write_idx_set(tmp_path / "MNIST" / "raw", compressed=False)
    write_idx_set(tmp_path / "other", compressed=False, train=11)
    (tmp_path / "other" / "train-labels-idx1-ubyte").replace(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte: 11 labels for the 12 images"):
        mnist(root=str(tmp_path), download=False)


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Two images a file under tmp_path, and torchvision's class told to expect these files."""
    kind = torchvision.datasets.CIFAR10
    folder = tmp_path / kind.base_folder
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    pixels = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)
    names = [name for name, _ in kind.train_list + kind.test_list]
    sums = [write(name, {"data": pixels[2 * i : 2 * i + 2], "labels": [i, 9 - i]}) for i, name in enumerate(names)]
    meta = write(kind.meta["filename"], {"label_names": list("abcdefghij")})
    listed = [list(pair) for pair in zip(names, sums, strict=True)]
    monkeypatch.setattr(kind, "train_list", listed[:5])
    monkeypatch.setattr(kind, "test_list", listed[5:])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": meta})
    return tmp_path, pixels


def test_cifar10_keeps_the_pixels_where_they_are(small_cifar, offline):
    root, pixels = small_cifar
    examples = cifar10(root=str(root), download=True)
    x, y = examples.splits["train"]
    assert x.shape == (10, 3, 32, 32) and np.array_equal(x.flatten(1).numpy(), pixels[:10])
    assert y.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and examples.splits["test"][1].tolist() == [5, 4]
    assert examples.classes == tuple("abcdefghij")


def test_cifar10_names_missing_and_refuses_damaged_files(small_cifar):
    root, _ = small_cifar
    path = root / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=r"CIFAR10 could not be fetched or read: .*corrupted"):
        cifar10(root=str(root), download=False)
    path.unlink()
    with pytest.raises(ValueError, match=r"cifar-10-batches-py: data_batch_3 not found"):
        cifar10(root=str(root), download=False)


@pytest.fixture
def small_cifar100(tmp_path, monkeypatch):
    """Four images to train on and two to test on, and torchvision's class told to expect these files."""
    kind = torchvision.datasets.CIFAR100
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    for name, rows, listed in (("train", slice(4), "train_list"), ("test", slice(4, 6), "test_list")):
        content = {"data": pixels[rows], "fine_labels": [7, 99, 0, 7][: len(pixels[rows])], "coarse_labels": [1] * 4}
        (folder / name).write_bytes(pickle.dumps(content))
        monkeypatch.setattr(kind, listed, [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()]])
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{i}" for i in range(100)]}))
    md5 = hashlib.md5((folder / "meta").read_bytes()).hexdigest()
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5})
    return tmp_path, pixels


def test_cifar100_has_the_fine_classes(small_cifar100, offline):
    root, pixels = small_cifar100
    examples = cifar100(root=str(root), download=True)
    x, y = examples.splits["train"]
    assert np.array_equal(x.flatten(1).numpy(), pixels[:4]) and y.tolist() == [7, 99, 0, 7]
    assert np.array_equal(examples.splits["test"][0].flatten(1).numpy(), pixels[4:])
    assert len(examples.classes) == 100 and examples.classes[99] == "c99"


@pytest.fixture
def small_svhn(tmp_path, monkeypatch):
    """Three images to train on and two to test on, and torchvision's class told to expect these files."""
    folder = tmp_path / "SVHN"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    listed = {}
    for split, part, labels in (("train", slice(3), [10, 1, 9]), ("test", slice(3, 5), [2, 10])):
        path = folder / f"{split}_32x32.mat"
        savemat(path, {"X": pixels[..., part], "y": np.array(labels, dtype=np.uint8)[:, None]})
        listed[split] = ["http://nowhere.invalid", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", listed)
    return tmp_path, pixels


def test_svhn_turns_matlabs_axes_and_calls_ten_zero(small_svhn, offline):
    root, pixels = small_svhn
    examples = svhn(root=str(root), download=True)
    x, y = examples.splits["train"]
    assert x.shape == (3, 3, 32, 32) and x.is_contiguous() and x[1, 2, 5, 7] == pixels[5, 7, 2, 1]
    assert y.tolist() == [0, 1, 9] and examples.splits["test"][1].tolist() == [2, 0]
    assert examples.classes == tuple("0123456789")


def test_svhn_names_missing_and_refuses_damaged_files(small_svhn):
    root, _ = small_svhn
    path = root / "SVHN" / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=r"SVHN could not be fetched or read: .*corrupted"):
        svhn(root=str(root), download=False)
    path.unlink()
    with pytest.raises(ValueError, match=r"SVHN: test_32x32.mat not found; set data.root"):
        svhn(root=str(root), download=False)


@pytest.mark.parametrize(("source", "folder"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
def test_the_real_set_has_sixty_and_ten_thousand_images(source, folder, real_data):
    if not (real_data / folder / "raw").is_dir():
        pytest.skip(f"no {folder} in DLKIT_DATA")
    splits = source(root=str(real_data), download=False).splits
    assert splits["train"][0].shape == (60_000, 1, 28, 28) and splits["test"][0].shape == (10_000, 1, 28, 28)
    assert torch.bincount(splits["test"][1]).sum() == 10_000


def test_every_mnist_file_is_known_to_torchvision():
    known = {name.removesuffix(".gz") for name, _ in torchvision.datasets.MNIST.resources}
    assert {name for pair in vision.FILES.values() for name in pair} == known
