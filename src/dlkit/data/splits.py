"""Seeded splits, stratified where there are classes."""

from __future__ import annotations

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.rng import SPLIT, stream


def divide(
    examples: Examples, *, val_fraction: float, test_fraction: float, seed: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Splits "train", "val" and "test" of raw (x, y): the set's own, else cut from its training split.

    test_fraction is of all examples, val_fraction of what is then left for training; 0 makes no such split.
    Raises ValueError where a split would be empty.
    """
    splits = dict(examples.splits)
    for key, (name, fraction) in enumerate((("test", test_fraction), ("val", val_fraction))):
        if name in splits or fraction == 0:
            continue
        x, y = splits["train"]
        labels = y if examples.task == "classification" else None
        taken = draw(len(y), fraction, labels, stream(SPLIT, seed, key))
        size = int(taken.sum())
        if not 0 < size < len(y):
            raise ValueError(
                f"data.{name}_fraction={fraction} takes {size} of {len(y):,} examples: "
                f"expected from 1 to {len(y) - 1:,} (0: no {name} split)"
            )
        splits["train"], splits[name] = (x[~taken], y[~taken]), (x[taken], y[taken])
    return {name: splits[name] for name in ("train", "val", "test") if name in splits}


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


def apportion(counts: Tensor, total: int) -> Tensor:
    """Divide `total` among classes in proportion to `counts` (K,), by largest remainder; the first of equals wins.

    Each class gets its quota counts · total / sum(counts) rounded down, or up where the fraction cut off is largest.
    """
    shares, remainders = counts * total // counts.sum(), counts * total % counts.sum()
    largest = remainders.argsort(descending=True, stable=True)[: total - int(shares.sum())]
    shares[largest] += 1
    return shares
