"""How weights and gradients are distributed."""

from __future__ import annotations

from math import gcd, isfinite

import torch
from torch import Tensor

from dlkit.callbacks.panels.panel import Board, Event, Panel
from dlkit.state import State

BINS = 64
VALUES = 2**16  # of one tensor at most: more would not change the picture
FIGURES = 5  # of each tensor beside its counts


class Histograms(Panel):
    """At logs, for TensorBoard's Histograms and Distributions: `within/weights/<parameter>` and, of the gradients,
    `within/gradients/<parameter>`.

    Gradients are those of the last batch. Each histogram has 64 bins from the least to the largest value; of a large
    tensor 65,536 values from all over it are counted.
    Runs trained as one model have no gradients here.
    """

    event: Event | None = "log"

    def draw(self, state: State, board: Board) -> None:
        tensors: dict[str, Tensor] = {}
        for name, p in state.model.named_parameters():
            if p.requires_grad and p.numel():
                tensors[f"within/weights/{name}"] = p.detach()
                if p.grad is not None:
                    tensors[f"within/gradients/{name}"] = p.grad
        if not tensors:
            return
        rows = torch.stack([_histogram(tensor) for tensor in tensors.values()]).tolist()  # sync point: once a drawing
        for name, (low, high, count, total, squares, *counts) in zip(tensors, rows, strict=True):
            if not isfinite(squares):
                continue
            width = ((high - low) or 1.0) / BINS
            limits = [low + width * (i + 1) for i in range(BINS)]
            board.writer.add_histogram_raw(name, low, high, count, total, squares, limits, counts, state.step)


def _histogram(tensor: Tensor) -> Tensor:
    """Least and largest value, count, sum, sum of squares, and how many are in each bin: (5 + BINS,), on the device."""
    values = _some(tensor).float()
    low, high = values.aminmax()
    width = torch.where(high > low, (high - low) / BINS, 1.0)
    bins = ((values - low) / width).int().clamp_(0, BINS - 1)  # int: bincount takes 7 x as long with 64 bits
    counts = torch.bincount(bins, minlength=BINS)
    count = torch.full_like(low, values.numel())
    return torch.cat([torch.stack([low, high, count, values.sum(), values.square().sum()]), counts.float()])


def _some(tensor: Tensor) -> Tensor:
    """All values, or `VALUES` at most in even steps; prime to the size, lest they all be of one column."""
    flat = tensor.flatten()
    step = -(-flat.numel() // VALUES)
    while step > 1 and gcd(step, flat.numel()) > 1:
        step += 1
    return flat[::step]
