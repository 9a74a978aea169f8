"""A folder a class, with or without train, val and test above: which files there are, and what is wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dlkit.data.reading.classes import named_classes, stranger
from dlkit.data.reading.named_splits import NAMES, split_of
from dlkit.data.reading.problems import Problems

LITTER = ("thumbs.db", "desktop.ini")  # what file managers leave; hidden files are passed over too
Listing = dict[str, list[tuple[Path, str]]]


@dataclass(frozen=True)
class ClassFolders:
    """The files of each split with the name of their class; in every split in the order of their paths.

    problems = Problems(on_error)
    found = list_classes(Path(root), {".png", ".jpg"}, problems)
    bad = {path for path in found.every_path() if not readable(path)}   # and problems.add(str(path), why) for each
    found = found.without(bad, problems)
    notes = problems.settle()                                           # raises, or counts what was left out
    for split in found.splits: x, y = read(found.paths(split)), found.labels(split)
    """

    root: Path
    splits: Listing  # "train" always; "val" and "test" where the folder has them
    classes: tuple[str, ...]  # those that the user names, else the training split's, sorted
    given: bool  # whether the user names them

    def paths(self, split: str) -> list[Path]:
        return [path for path, _ in self.splits[split]]

    def every_path(self) -> list[Path]:
        """The files of all splits, one split after the other."""
        return [path for split in self.splits for path in self.paths(split)]

    def names(self) -> dict[str, tuple[str, ...]]:
        """The path below `root` of each file, by split."""
        return {split: below(self.root, self.paths(split)) for split in self.splits}

    def labels(self, split: str) -> Tensor:
        """The number of each file's class, int64 (N,)."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return torch.tensor([numbers[name] for _, name in self.splits[split]], dtype=torch.int64)

    def without(self, bad: Collection[Path], problems: Problems) -> ClassFolders:
        """What is left when the files in `bad` cannot be used. Classes left with too few files are problems too."""
        if not bad:
            return self
        gone = set(bad)
        left = {name: [pair for pair in pairs if pair[0] not in gone] for name, pairs in self.splits.items()}
        return _checked(self.root, left, problems, self.classes if self.given else ())


def below(root: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    """Each path as it is below `root`, to name an example by."""
    return tuple(path.relative_to(root).as_posix() for path in paths)


def list_classes(
    root: Path,
    extensions: Collection[str],
    problems: Problems,
    *,
    classes: Sequence[str | int] | None = None,
    kind: str = "",
) -> ClassFolders:
    """The files with one of the `extensions` (".wav", in any case) in the folders of classes under `root`.

    `root` holds a folder a class; or the folders train and val or test (or train alone), and these a folder a class.
    A class's folder may have folders in it. Hidden files are passed over, and so is what lies beside the folders of
    classes and is not of these kinds (a README). Added to `problems`: files of other kinds in a class's folder, files
    without a class, empty files, classes without files or with only one to train on, classes of val and test that
    train has not. Where `classes` are named, each may have any number of files, none too, and files of others are
    problems. Raises ValueError where `root` is no folder or has no two classes. `kind` says what the files are where
    the extensions are too many to be listed: "an image".
    """
    given = named_classes(classes)
    if not root.is_dir():
        raise ValueError(f"data.root={root}: {'a file; give a folder' if root.is_file() else 'no such folder'}")
    wanted = {extension.lower() for extension in extensions}
    folders = _split_folders(root, problems)
    kind = kind or f"a {' or '.join(sorted(wanted))} file"
    splits = {name: _files(folder, wanted, problems, kind, bool(given)) for name, folder in folders.items()}
    if not any(splits.values()):
        raise ValueError(f"data.root={root}: no folder of a class in it holds {kind}; {_instead(root, wanted)}")
    return _checked(root, splits, problems, given)


def _instead(root: Path, wanted: set[str]) -> str:
    """What is there where nothing can be used, and what to do."""
    if beside := sum(path.suffix.lower() in wanted for path in root.iterdir() if path.is_file()):
        return f"{beside:,} lie in it directly: give the folder above, with a folder for each class"
    endings = Counter(path.suffix.lower() or "without ending" for path in _walk(root)).most_common(3)
    return f"there is {', '.join(f'{count:,} {ending}' for ending, count in endings) or 'nothing'}"


def _split_folders(root: Path, problems: Problems) -> dict[str, Path]:
    """The folder of each split; {"train": root} where the folders in `root` are classes."""
    inside = _folders(root)
    found: dict[str, Path] = {}
    for folder in inside:
        name = split_of(folder.name)
        if name in found:
            raise ValueError(f"data.root={root}: {found[name].name} and {folder.name} both mean {name}; keep one")
        if name:
            found[name] = folder
    if "train" not in found or (len(found) == 1 and len(inside) > 1):  # a class may be called train
        return {"train": root}
    for folder in inside:
        if folder not in found.values():
            problems.add(str(folder), f"not one of {', '.join(NAMES)}, the other folders beside it")
    return {name: found[name] for name in NAMES if name in found}


def _files(top: Path, wanted: set[str], problems: Problems, kind: str, may_lack: bool) -> list[tuple[Path, str]]:
    """(file, class) of every folder of a class in `top`."""
    found = []
    for path in sorted(top.iterdir()):
        if path.is_file() and path.suffix.lower() in wanted and not _hidden(path.name):
            problems.add(str(path), "lies in no class's folder")
    for folder in _folders(top):
        files = [path for path in _walk(folder) if _is_good(path, wanted, problems, kind)]
        if not files and not may_lack:
            problems.add(str(folder), "a class without files")
        found += [(path, folder.name) for path in files]
    return found


def _is_good(path: Path, wanted: set[str], problems: Problems, kind: str) -> bool:
    if path.suffix.lower() not in wanted:
        problems.add(str(path), f"not {kind}")
    elif path.stat().st_size == 0:
        problems.add(str(path), "the file is empty")
    else:
        return True
    return False


def _checked(root: Path, splits: Listing, problems: Problems, given: tuple[str, ...]) -> ClassFolders:
    """Without the files of classes that are not `given`, or that cannot be trained, each a problem."""
    classes = given or _trainable(splits["train"], problems)
    kept: Listing = {}
    for split, pairs in splits.items():
        for path, name in pairs:
            if given and name not in classes:
                problems.add(str(path), stranger(name, classes))
            elif split != "train" and name not in classes:
                problems.add(str(path), f"in {split}, but the training split has not two files of class {name}")
        kept[split] = [(path, name) for path, name in pairs if name in classes]
    if len(classes) < 2:
        count = f"1 class ({classes[0]})" if classes else "no classes"
        why = f"data.root={root}: {count} with two or more training files, expected at least 2"
        raise problems.too_few(why)
    if not kept["train"]:
        raise problems.too_few(f"data.root={root}: no training file of the classes {', '.join(classes)} is left")
    for split in [split for split in kept if not kept[split]]:
        problems.add(split, "a split without files")
        del kept[split]
    return ClassFolders(root, kept, classes, bool(given))


def _trainable(train: list[tuple[Path, str]], problems: Problems) -> tuple[str, ...]:
    """The classes with two files or more; the one file of another class is a problem."""
    counts = Counter(name for _, name in train)
    for path, name in train:
        if counts[name] == 1:
            problems.add(str(path), "the only file of its class in the training split; expected two or more")
    return tuple(sorted(name for name, count in counts.items() if count > 1))


def _folders(top: Path) -> list[Path]:
    return sorted(path for path in top.iterdir() if path.is_dir() and not _hidden(path.name))


def _walk(top: Path) -> list[Path]:
    """All files under `top`, at any depth, but hidden ones."""
    found = []
    for folder, inside, names in os.walk(top):
        inside[:] = [name for name in inside if not _hidden(name)]
        found += [Path(folder) / name for name in names if not _hidden(name)]
    return sorted(found)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER
