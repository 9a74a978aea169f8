"""Batches that are copied to a GPU and encoded there while the step before them is still computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from dlkit.types import Batch


class Aside:
    """A CUDA stream beside the one that trains."""

    def __init__(self, device: torch.device):
        self.device, self.stream = device, torch.cuda.Stream(device)

    def use(self) -> AbstractContextManager[Any]:
        """Within, everything is queued on this stream."""
        return torch.cuda.stream(self.stream)

    def hand_over(self, batch: Batch) -> None:
        """The training stream waits for the batch, whose memory is not given away while that stream reads it."""
        training = torch.cuda.current_stream(self.device)
        training.wait_stream(self.stream)
        for tensor in batch:
            tensor.record_stream(training)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; a GPU takes it from pinned memory, so that nobody waits."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def aside(device: torch.device) -> Aside | None:
    """One for a GPU; None elsewhere. To be kept: memory is kept for each stream by itself."""
    return Aside(device) if device.type == "cuda" else None


def prefetched(batches: Iterator[Batch], stream: Aside | None) -> Iterator[Batch]:
    """The same batches in the same order; what makes each of them runs on the stream, if there is one.

    The host is ahead of a GPU: it asks for batch k + 1 as soon as step k is queued, so that its copy, from pinned
    memory, and its encoding run beside that step. Each batch is handed over before it is given.
    """
    if stream is None:
        yield from batches
        return
    while True:
        with stream.use():
            batch = next(batches, None)
        if batch is None:
            return
        stream.hand_over(batch)
        yield batch
