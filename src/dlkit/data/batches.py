"""How splits are cut into batches: sizes that suit caches, rows in order, one gather each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dlkit.data.order import shared
from dlkit.data.raw import Ragged
from dlkit.types import Batch

# An evaluation batch: at most so many examples, and so many bytes of inputs. Small ones cost small models time, large
# ones memory, and time where they leave the caches, if the model makes much of each: of sequences, and of images that
# it convolves, there are fewer.
EVAL_EXAMPLES, EVAL_LARGE = 2000, 256
EVAL_BYTES_CPU, EVAL_BYTES = 8 << 20, 32 << 20
Encoded = Tensor | Ragged


def rows_of(x: Encoded, by_length: bool = False) -> Tensor:
    """0 … N − 1, or, of sequences, by length, the longest first."""
    if by_length and isinstance(x, Ragged):
        return x.lengths.argsort(descending=True, stable=True)
    return torch.arange(len(x))


def in_order(x: Encoded, y: Tensor, rows: Tensor, part: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """The examples of these rows, or a process's part of them, in batches that suit the caches.

    Of a tensor the rows are the first ones, and batches are views. Of sequences a process has every n-th, so that long
    ones are many with none.
    """
    if isinstance(x, Ragged):
        rows = own_rows(x, rows, part)
        start = 0
        for size in sizes(x, rows, y.device):
            chosen = rows[start : start + size]
            yield Batch(x.padded(chosen), y[chosen.to(y.device, non_blocking=True)])  # no sync
            start += size
        return
    own = shared(len(rows), *part)
    x, y = x[own], y[own]
    start = 0
    for size in sizes(x, rows[own], y.device):
        yield Batch(x[start : start + size], y[start : start + size])
        start += size


def own_rows(x: Encoded, rows: Tensor, part: tuple[int, int]) -> Tensor:
    """Of the rows to evaluate those that are a process's part."""
    number, of = part
    if isinstance(x, Ragged):
        return rows[number::of] if len(rows) >= of else rows
    return rows[shared(len(rows), number, of)]


def sizes(x: Encoded, rows: Tensor, device: torch.device) -> Iterator[int]:
    """How many of these rows are in each evaluation batch."""
    if isinstance(x, Tensor):
        size = eval_size(4 * x[0].numel(), device)  # as floats, which bytes become
        size = min(size, EVAL_LARGE) if _is_channels_last(x) else size
        yield from (min(size, len(rows) - start) for start in range(0, len(rows), size))
        return
    longest = x.lengths[rows].flip(0).cummax(0).values.flip(0).clamp(min=1)  # from here to the end
    start = 0
    while start < len(rows):
        size = eval_size(int(longest[start]) * x.values[0].nbytes, device)
        size = min(size, EVAL_LARGE, len(rows) - start)
        yield size
        start += size


def steps_in_epoch(examples: int, batch_size: int, limit_batches: int) -> int:
    """Whole batches of an epoch, at most `limit_batches` unless that is 0."""
    steps = examples // batch_size
    return min(steps, limit_batches) if limit_batches else steps


def of_split(splits: dict[str, tuple[Any, Tensor]], name: str) -> tuple[Any, Tensor]:
    """Inputs and targets of a split. Raises ValueError where there is none of that name."""
    if name not in splits:
        raise ValueError(f"no {name} split: there are {', '.join(splits)} (data.{name}_fraction makes one)")
    return splits[name]


def eval_size(bytes_each: int, device: torch.device) -> int:
    """Examples of an evaluation batch."""
    budget = EVAL_BYTES_CPU if device.type == "cpu" else EVAL_BYTES
    return max(1, min(EVAL_EXAMPLES, budget // bytes_each))


def unpadded(parts: list[Tensor]) -> Ragged:
    """Padded batches (B, T, …) as sequences end to end, without the NaN behind each."""
    real = [~part.flatten(2)[..., 0].isnan() if part.dim() > 2 else ~part.isnan() for part in parts]  # (B, T)
    values = torch.cat([part[inside] for part, inside in zip(parts, real, strict=True)])
    return Ragged(values, torch.cat([inside.sum(1) for inside in real]).cpu())


def gather(x: Tensor, chosen: Tensor) -> Tensor:
    """x[chosen], in the memory format of x. `index_select` is up to twice as fast, but forgets channels_last."""
    if _is_channels_last(x):  # a view (N, H, W, C), whose rows are whole examples
        return x.permute(0, 2, 3, 1).index_select(0, chosen).permute(0, 3, 1, 2)
    return x.index_select(0, chosen)


def in_format_of(changed: Tensor, x: Tensor) -> Tensor:
    """`changed` in the memory format of `x`."""
    return changed.to(memory_format=torch.channels_last) if _is_channels_last(x) else changed.contiguous()


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.stride(1) == 1  # `is_contiguous` cannot tell where there is one channel
