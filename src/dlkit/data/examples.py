"""What a data source returns: raw examples by split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

DTYPES = {"image": (torch.uint8, torch.float32), "tabular": (torch.float32,)}
SHAPES = {"image": "(N, C, H, W)", "tabular": "(N, F)"}
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Examples:
    """Raw examples by split, before splitting, normalisation and batching.

    A data set of your own is a function that returns one of these, and a YAML file whose `_target_` names the function:

        def wine(*, path: str) -> Examples:
            ...
            return Examples("tabular", "classification", {"train": (x, y)})

    x: images uint8 or float32 (N, C, H, W); tables float32 (N, F). y: classes int64 (N,); numbers float32 (N, T).
    Raises ValueError where a tensor is not so.
    """

    kind: str  # "image" | "tabular"
    task: str  # "classification" | "regression"
    splits: dict[str, tuple[Tensor, Tensor]]  # "train" always; "val" and "test" where the set has them
    classes: tuple[str, ...] = ()  # names; none: the numbers 0 … largest label

    def __post_init__(self) -> None:
        if self.kind not in DTYPES:
            raise ValueError(f"Examples.kind={self.kind!r}: expected one of {', '.join(DTYPES)}")
        if self.task not in ("classification", "regression"):
            raise ValueError(f"Examples.task={self.task!r}: expected classification or regression")
        if "train" not in self.splits or not set(self.splits) <= set(SPLITS):
            raise ValueError(f"Examples.splits has {', '.join(self.splits)}: expected train, and val or test if any")
        for name, (x, y) in self.splits.items():
            self._check_inputs(name, x)
            self._check_targets(name, x, y)
        if self.task == "classification":
            self._name_classes()

    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over names, types, shapes and bytes of all tensors (70,000 MNIST images: 0.04 s)."""
        digest = hashlib.sha256()
        for name, tensors in sorted(self.splits.items()):
            for tensor in tensors:
                digest.update(f"{name} {_show(tensor)} ".encode())
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def _check_inputs(self, name: str, x: Tensor) -> None:
        """Dtype, shape and values of x."""
        where = f"x of the {name} split"
        expected = " or ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES[self.kind])
        if x.dtype not in DTYPES[self.kind] or x.dim() != (4 if self.kind == "image" else 2):
            raise ValueError(f"{where}: {_show(x)}, expected {expected} {SHAPES[self.kind]}")
        if x.shape[1:] != self.splits["train"][0].shape[1:]:
            raise ValueError(f"{where}: {_show(x)}, expected the shape of train {_show(self.splits['train'][0])}")
        if x.numel() == 0:
            raise ValueError(f"{where} is empty: {_show(x)}")
        if x.is_floating_point() and not x.isfinite().all():
            bad = int((~x.isfinite()).sum())
            raise ValueError(
                f"{where}: {bad} of {x.numel()} values are NaN or infinite; fill or drop them in the source"
            )

    def _check_targets(self, name: str, x: Tensor, y: Tensor) -> None:
        """Dtype, shape and values of y."""
        where = f"y of the {name} split"
        if len(y) != len(x):
            raise ValueError(f"{where}: {len(y)} targets for {len(x)} examples")
        if self.task == "classification":
            if y.dtype != torch.int64 or y.dim() != 1:
                raise ValueError(f"{where}: {_show(y)}, expected int64 (N,), the number of each example's class")
            if y.min() < 0:
                raise ValueError(f"{where}: smallest label {int(y.min())}, expected labels from 0")
            return
        if y.dtype != torch.float32 or y.dim() != 2 or y.shape[1:] != self.splits["train"][1].shape[1:]:
            raise ValueError(f"{where}: {_show(y)}, expected float32 (N, T), the same T in every split")
        if not y.isfinite().all():
            raise ValueError(f"{where}: {int((~y.isfinite()).sum())} of {y.numel()} values are NaN or infinite")

    def _name_classes(self) -> None:
        """Fill in `classes` where none were given; refuse labels beyond them."""
        count = 1 + max(int(y.max()) for _, y in self.splits.values())
        if not self.classes:
            object.__setattr__(self, "classes", tuple(str(label) for label in range(count)))
        if count > len(self.classes):
            raise ValueError(
                f"label {count - 1} in y, expected at most {len(self.classes) - 1}: {len(self.classes)} classes"
            )


def _show(tensor: Tensor) -> str:
    """dtype and shape, e.g. `uint8 (10, 1, 8, 8)`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
