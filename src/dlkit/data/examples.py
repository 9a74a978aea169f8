"""What a data source returns: raw examples by split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dlkit.data.raw import Files, Ragged, Table, Texts

SPLITS = ("train", "val", "test")
IMAGES, TABLES, SOUNDS = "uint8 or float32 (N, C, H, W)", "float32 or float64 (N, F)", "float32 (N, T) or Ragged"
TENSORS = {  # kind: dtypes, axes and how both are said
    "image": ((torch.uint8, torch.float32), 4, IMAGES),
    "tabular": ((torch.float32, torch.float64), 2, TABLES),
    "waveform": ((torch.float32,), 2, SOUNDS),
    "text": ((), 0, "Texts"),
}
CONTAINERS: dict[str, tuple[type, ...]] = {
    "image": (Files,),
    "tabular": (Table,),
    "waveform": (Ragged, Files),
    "text": (Texts,),
}


@dataclass(frozen=True)
class Examples:
    """Raw examples by split, before splitting, encoding and batching.

    A data set of your own is a function that returns one of these, and a YAML file whose `_target_` names the function:

        def wine(*, path: str) -> Examples:
            ...
            return Examples("tabular", "classification", {"train": (x, y)})

    x: images uint8 or float32 (N, C, H, W); tables float (N, F), NaN where a value is missing, or a `Table` with words;
    `Texts`; waveforms float32 in [−1, 1], (N, T) or `Ragged`; images and waveforms also as `Files`, read when needed.
    y: classes int64 (N,); numbers float32 (N, T). `names` says where examples come from, for a report of the worst
    errors. Raises ValueError where anything is not so.
    """

    kind: str  # "image" | "tabular" | "text" | "waveform"
    task: str  # "classification" | "regression"
    splits: dict[str, tuple[Any, Tensor]]  # "train" always; "val" and "test" where the set has them
    classes: tuple[str, ...] = ()  # names; none: the numbers 0 … largest label
    groups: Tensor | None = None  # int64, of the training examples: those of one group stay in one split
    sample_rate: int | None = None  # of waveforms, Hz
    notes: tuple[str, ...] = field(default=(), compare=False)  # what the user should see: what was left out and why
    names: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)  # by split: file, or line of a file

    def __post_init__(self) -> None:
        if self.kind not in TENSORS:
            raise ValueError(f"Examples.kind={self.kind!r}: expected one of {', '.join(TENSORS)}")
        if self.task not in ("classification", "regression"):
            raise ValueError(f"Examples.task={self.task!r}: expected classification or regression")
        if "train" not in self.splits or not set(self.splits) <= set(SPLITS):
            raise ValueError(f"Examples.splits has {', '.join(self.splits)}: expected train, and val or test if any")
        if self.kind == "waveform" and not self.sample_rate:
            raise ValueError("Examples.sample_rate is missing: waveforms need it, in Hz")
        for name, (x, y) in self.splits.items():
            self._check_inputs(name, x)
            self._check_targets(name, x, y)
        if self.groups is not None and self.groups.shape != (len(self.splits["train"][1]),):
            raise ValueError(f"Examples.groups: {_show(self.groups)}, expected one number for each training example")
        for name, names in self.names.items():
            if len(names) != len(self.splits[name][1]):
                raise ValueError(f"Examples.names: {len(names)} names for the {name} split, expected one an example")
        if self.task == "classification":
            self._name_classes()

    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over names, types, shapes and bytes of all examples (all of MNIST: 0.04 s)."""
        digest = hashlib.sha256()
        for name, both in sorted(self.splits.items()):
            for one in both:
                if isinstance(one, Tensor):
                    digest.update(f"{name} {_show(one)} ".encode())
                    digest.update(one.contiguous().numpy().data)
                else:
                    digest.update(f"{name} {type(one).__name__} ".encode())
                    for part in one.parts():
                        digest.update(part)
        return digest.hexdigest()[:16]

    def _check_inputs(self, name: str, x: Any) -> None:
        """Type, shape and values of x."""
        where = f"x of the {name} split"
        if len(x) == 0:
            raise ValueError(f"{where} is empty")
        dtypes, axes, expected = TENSORS[self.kind]
        if not isinstance(x, (Tensor, *CONTAINERS[self.kind])):
            raise ValueError(f"{where}: {type(x).__name__}, expected {expected}")
        train = self.splits["train"][0]
        if type(x) is not type(train) and not isinstance(x, Files) and not isinstance(train, Files):
            raise ValueError(f"{where}: {type(x).__name__}, expected {type(train).__name__} as in train")
        if not isinstance(x, Tensor):
            self._check_container(where, x)
            return
        if x.dtype not in dtypes or x.dim() != axes:
            raise ValueError(f"{where}: {_show(x)}, expected {expected}")
        if isinstance(train, Tensor) and x.shape[1:] != train.shape[1:]:
            raise ValueError(f"{where}: {_show(x)}, expected the shape of train {_show(train)}")
        if x.numel() == 0:
            raise ValueError(f"{where} is empty: {_show(x)}")
        _check_values(where, x, missing_allowed=self.kind == "tabular")

    def _check_container(self, where: str, x: Any) -> None:
        """What the container holds; of files only their number is known."""
        if isinstance(x, Ragged):
            if x.values.dtype != torch.float32 or x.values.dim() != 1:
                raise ValueError(f"{where}: {_show(x.values)}, expected float32 samples, (total,)")
            if empty := int((x.lengths == 0).sum()):
                raise ValueError(f"{where}: {empty} of {len(x)} waveforms have no samples; leave them out")
            _check_values(where, x.values, missing_allowed=False)
        if isinstance(x, Table):
            if x.names != self.splits["train"][0].names:
                raise ValueError(
                    f"{where}: columns {x.names}, expected those of train, {self.splits['train'][0].names}"
                )
            _check_values(where, x.numbers, missing_allowed=True)

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


def _check_values(where: str, x: Tensor, missing_allowed: bool) -> None:
    """Refuse what is no number, and NaN too unless it means a missing value."""
    bad = x.isinf() if missing_allowed else ~x.isfinite() if x.is_floating_point() else x[:0]
    if bad.any():
        what = "infinite" if missing_allowed else "NaN or infinite"
        raise ValueError(f"{where}: {int(bad.sum())} of {x.numel()} values are {what}; mend them in the source")


def _show(tensor: Tensor) -> str:
    """dtype and shape, e.g. `uint8 (10, 1, 8, 8)`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
