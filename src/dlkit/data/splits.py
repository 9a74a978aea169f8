"""Seeded splits: stratified where there are classes, whole groups where there are groups; and folds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlkit.data.examples import SPLITS, Examples
from dlkit.rng import SPLIT, stream

FOLDS = 2  # third key of the stream, after 0 for test and 1 for val


def divide(
    examples: Examples,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    fold: int | None = None,
    folds: int = 10,
) -> dict[str, tuple[Any, Tensor]]:
    """Raw (x, y) of the splits "train", "val" and "test", as `places` has them."""
    fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
    found = places(examples, **fractions, seed=seed, fold=fold, folds=folds)
    return {name: _pick(examples.splits[own], rows) for name, (own, rows) in found.items()}


def places(
    examples: Examples,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    fold: int | None = None,
    folds: int = 10,
) -> dict[str, tuple[str, Tensor]]:
    """Where the examples of "train", "val" and "test" stand: in which of the set's own splits, and in which rows (n,).

    They are the set's own, else cut from its training split. test_fraction is of all examples, val_fraction of what is
    then left for training; 0 makes no such split. With `fold` the training examples are cut into `folds` parts, and
    part `fold` is the test split, or, where the set has a test split of its own, the validation split. Raises
    ValueError where a split would be empty.
    """
    found = {name: (name, torch.arange(len(y))) for name, (_, y) in examples.splits.items()}
    y, groups = examples.splits["train"][1], examples.groups
    wanted = {"test": test_fraction, "val": val_fraction}

    def take(name: str, taken: Tensor) -> None:
        """Moves training examples, those of the mask, into the split `name`."""
        left = found["train"][1]
        found["train"], found[name] = ("train", left[~taken]), ("train", left[taken])

    if fold is not None:
        name = "val" if "test" in found else "test"
        if name in found:
            raise ValueError(f"data.fold={fold}: this set has a test and a validation split of its own; leave fold out")
        take(name, _fold(examples, fold, folds, seed))
    for key, (name, fraction) in enumerate(wanted.items()):
        if name in found or fraction == 0:
            continue
        left = found["train"][1]
        generator = stream(SPLIT, seed, key)
        labels = y[left] if examples.task == "classification" else None
        if groups is None:
            taken = draw(len(left), fraction, labels, generator)
        else:
            taken = draw_groups(groups[left], fraction, generator)
        size = int(taken.sum())
        if not 0 < size < len(left):
            whole = "" if groups is None else f" in {len(groups[left].unique())} group(s), which stay whole"
            raise ValueError(
                f"data.{name}_fraction={fraction} takes {size} of {len(left):,} examples{whole}: "
                f"expected from 1 to {len(left) - 1:,} (0: no {name} split)"
            )
        take(name, taken)
    return {name: found[name] for name in SPLITS if name in found}


def groups_told(examples: Examples, **options: Any) -> tuple[str, ...]:
    """A line that says how many groups each split has, which `places` cuts with these options; none without groups."""
    if examples.groups is None:
        return ()
    found = places(examples, **options)
    counts = {name: len(examples.groups[rows].unique()) for name, (own, rows) in found.items() if own == "train"}
    return (f"whole groups: {', '.join(f'{name} {count:,}' for name, count in counts.items())}",)


def _pick(both: tuple[Any, Tensor], rows: Tensor) -> tuple[Any, Tensor]:
    x, y = both
    return both if len(rows) == len(y) else (x[rows], y[rows])


def draw(count: int, fraction: float, labels: Tensor | None, generator: torch.Generator) -> Tensor:
    """Mask (count,) of round(count · fraction) random examples, of every class its share."""
    order = torch.randperm(count, generator=generator)
    taken = torch.zeros(count, dtype=torch.bool)
    if labels is None:
        taken[order[: round(count * fraction)]] = True
        return taken
    shares = apportion(torch.bincount(labels), round(count * fraction))
    shuffled = labels[order]
    for label, share in enumerate(shares.tolist()):
        taken[order[shuffled == label][:share]] = True
    return taken


def draw_groups(groups: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Mask (N,) of whole groups, in random order, each where with it they come closer to the fraction of the examples.
    At least one group is taken, the smallest where none comes closer, and one is left."""
    members, counts = groups.unique(return_counts=True)
    order, sizes = torch.randperm(len(members), generator=generator).tolist(), counts.tolist()
    chosen: list[int] = []
    lacking = fraction * len(groups)
    for member in order:
        if abs(lacking - sizes[member]) < abs(lacking) and len(chosen) < len(members) - 1:
            chosen.append(member)
            lacking -= sizes[member]
    return torch.isin(groups, members[chosen or [min(order, key=sizes.__getitem__)]])


def _fold(examples: Examples, fold: int, folds: int, seed: int) -> Tensor:
    """Mask (N,) of the training examples in part `fold` of `folds`."""
    y, groups = examples.splits["train"][1], examples.groups
    if fold >= folds:
        raise ValueError(f"data.fold={fold}: expected 0 to {folds - 1}, with data.folds={folds}")
    available = len(y) if groups is None else len(groups.unique())
    if folds > available:
        what = "training examples" if groups is None else "groups"
        raise ValueError(f"data.folds={folds} is more than the {available} {what}")
    labels = y if examples.task == "classification" else None
    generator = stream(SPLIT, seed, FOLDS)
    part = fold_of(len(y), folds, labels, generator) if groups is None else fold_of_groups(groups, folds)
    return part == fold


def fold_of(count: int, folds: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
    """Which fold (N,) each example is in: sizes differ by one at most, also those of each class."""
    order = torch.randperm(count, generator=generator)
    if labels is not None:
        order = order[labels[order].argsort(stable=True)]  # class after class, dealt out in turn
    part = torch.empty(count, dtype=torch.long)
    part[order] = torch.arange(count) % folds
    return part


def fold_of_groups(groups: Tensor, folds: int) -> Tensor:
    """Which fold (N,) each example is in: groups are dealt to the smallest fold, the largest first.

    With as many folds as groups, fold k holds the k-th group in order of number: leave one group out.
    """
    members, sizes = groups.unique(return_counts=True)
    if folds == len(members):
        return torch.searchsorted(members, groups)
    load = torch.zeros(folds, dtype=torch.long)
    part = torch.empty(len(members), dtype=torch.long)
    for i in sizes.argsort(descending=True, stable=True).tolist():
        smallest = int(load.argmin())
        part[i] = smallest
        load[smallest] += sizes[i]
    return part[torch.searchsorted(members, groups)]


def apportion(counts: Tensor, total: int) -> Tensor:
    """Divide `total` among classes in proportion to `counts` (K,), by largest remainder; the first of equals wins.

    Each class gets its quota counts · total / sum(counts) rounded down, or up where the fraction cut off is largest.
    """
    shares, remainders = counts * total // counts.sum(), counts * total % counts.sum()
    largest = remainders.argsort(descending=True, stable=True)[: total - int(shares.sum())]
    shares[largest] += 1
    return shares
