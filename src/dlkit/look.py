"""A first look at the data: counts by class and split, lengths, targets, what was left out, and what looks wrong."""

from __future__ import annotations

import torch
from rich.table import Table
from torch import Tensor

from dlkit.log import log
from dlkit.types import Data

SHOWN_CLASSES, SHOWN_TARGETS, SHOWN_NAMES = 12, 4, 5  # more are summed up
WIDTH = 100


def show(data: Data) -> None:
    """Says it all through the log, a few lines in all."""
    spec = data.spec
    targets = f"{spec.num_outputs} classes" if spec.task == "classification" else f"{spec.num_outputs} target(s)"
    sizes = ", ".join(f"{name} {size:,}" for name, size in data.split_sizes.items())
    log.info("data    %s, %s; %s", inputs(data), targets, sizes)
    for note in data.notes:
        log.info("        %s", note)
    if (lengths := data.lengths("train")) is not None:
        log.info("lengths %s", lengths_line(data, lengths))
    if spec.task == "regression":
        for line in target_lines(data):
            log.info("target  %s", line)
        return
    counts = class_counts(data)
    log.info(summed_up(counts) if spec.num_outputs > SHOWN_CLASSES else class_table(counts, spec.classes))
    for line in warnings(counts, spec.classes):
        log.warning("%s", line)


def inputs(data: Data) -> str:
    """Kind and shape of an example in words."""
    spec = data.spec
    if spec.kind == "tokens":
        return f"texts of at most {spec.input_shape[0]:,} tokens, vocabulary {spec.vocab_size:,}"
    if spec.kind == "waveform" and spec.sample_rate:
        return f"recordings of at most {spec.input_shape[0] / spec.sample_rate:.3g} s at {spec.sample_rate:,} Hz"
    return f"{spec.kind} {' x '.join(map(str, spec.input_shape))}"


def class_counts(data: Data) -> dict[str, list[int]]:
    """Examples of each class by split."""
    classes = data.spec.num_outputs
    return {name: torch.bincount(data.targets(name), minlength=classes).tolist() for name in data.split_sizes}


def class_table(counts: dict[str, list[int]], classes: tuple[str, ...]) -> Table:
    """A row for each split where the names of the classes fit into a line, else a row for each class."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    wide = sum(max(len(name), 6) + 2 for name in classes) + 8 <= WIDTH
    rows, columns = (list(counts), list(classes)) if wide else (list(classes), list(counts))
    table.add_column("classes")
    for column in columns:
        table.add_column(column, justify="right")
    for i, row in enumerate(rows):
        numbers = counts[row] if wide else [one[i] for one in counts.values()]
        table.add_row(row, *[f"{number:,}" for number in numbers])
    return table


def summed_up(counts: dict[str, list[int]]) -> str:
    """Least, median and most examples of a class in each split, in a line."""
    parts = []
    for name, numbers in counts.items():
        ordered = sorted(numbers)
        parts.append(f"{name} {ordered[0]:,}, {ordered[len(ordered) // 2]:,}, {ordered[-1]:,}")
    return f"classes {'; '.join(parts)} examples of a class (least, median, most)"


def lengths_line(data: Data, lengths: Tensor) -> str:
    """Of the training split, in tokens or seconds."""
    quantiles = torch.quantile(lengths.double(), torch.tensor([0.0, 0.5, 0.95, 1.0], dtype=torch.double))
    rate = data.spec.sample_rate if data.spec.kind == "waveform" else None
    shown = [f"{value / rate:.3g}" if rate else f"{value:,.0f}" for value in quantiles.tolist()]
    return f"{', '.join(shown)} {'s' if rate else 'tokens'} (least, median, 95 %, most)"


def target_lines(data: Data) -> list[str]:
    """Mean, deviation and range of each target over the training split, in its own unit."""
    spec, y = data.spec, data.targets("train").cpu().double()  # mps has no float64
    if spec.target_std:
        y = y * torch.tensor(spec.target_std) + torch.tensor(spec.target_mean)
    lines = []
    for column in y.T[:SHOWN_TARGETS]:
        middle = f"mean {column.mean():.4g}, deviation {column.std(correction=0):.4g}"
        lines.append(f"{middle}, from {column.min():.4g} to {column.max():.4g}")
    return lines + ([f"… and {y.shape[1] - SHOWN_TARGETS} more"] if y.shape[1] > SHOWN_TARGETS else [])


def warnings(counts: dict[str, list[int]], classes: tuple[str, ...]) -> list[str]:
    """Classes that a split lacks, and classes with a single example."""
    lines = []
    for split, numbers in counts.items():
        if lacking := [name for name, number in zip(classes, numbers, strict=True) if number == 0]:
            lines.append(f"{_classes(lacking)} no example in {split}")
    totals = [sum(numbers) for numbers in zip(*counts.values(), strict=True)]
    if single := [name for name, total in zip(classes, totals, strict=True) if total == 1]:
        lines.append(f"{_classes(single)} one example only")
    return lines


def _classes(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    shown = ", ".join(names[:SHOWN_NAMES]) + more
    return f"class {shown} has" if len(names) == 1 else f"classes {shown} have"


def padding(data: Data, x: Tensor) -> Tensor:
    """True where a batch of inputs holds padding instead of values."""
    if x.is_floating_point():
        return x.isnan()
    return x == 0 if data.spec.kind == "tokens" else torch.zeros_like(x, dtype=torch.bool)
