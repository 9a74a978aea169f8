"""Batches made beside the training stream: in their order, each handed over before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from dlkit.data.prefetch import Aside, aside, prefetched
from dlkit.types import Batch

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Told(Aside):
    """No stream, but a list of what would have been asked of one."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @contextmanager
    def use(self) -> Iterator[Any]:
        self.events.append("begin")
        yield
        self.events.append("end")

    def hand_over(self, batch: Batch) -> None:
        self.events.append(f"hand over {int(batch.y)}")


def numbered(count: int, events: list[str] | None = None) -> Iterator[Batch]:
    for k in range(count):
        if events is not None:
            events.append(f"make {k}")
        yield Batch(torch.full((2, 3), float(k)), torch.tensor(k))


def test_batches_come_in_their_order_each_made_aside_and_handed_over_before_it_is_used() -> None:
    told = Told()
    for batch in prefetched(numbered(3, told.events), told):
        told.events.append(f"train {int(batch.y)}")
    expected = [f"begin|make {k}|end|hand over {k}|train {k}" for k in range(3)]
    assert "|".join(told.events) == "|".join([*expected, "begin|end"])


def test_without_a_gpu_nothing_stands_between() -> None:
    assert aside(torch.device("cpu")) is None
    assert [int(batch.y) for batch in prefetched(numbered(3), None)] == [0, 1, 2]


@pytest.mark.cuda
@GPU
def test_on_a_gpu_batches_made_aside_are_whole_when_the_training_stream_reads_them() -> None:
    device = torch.device("cuda")

    def made() -> Iterator[Batch]:
        for k in range(20):
            x = torch.full((1 << 20,), float(k)).pin_memory().to(device, non_blocking=True)
            yield Batch(x.sin().square(), torch.tensor(k, device=device))

    sums = [batch.x.sum() for batch in prefetched(made(), aside(device))]
    expected = [(1 << 20) * torch.tensor(float(k)).sin().square().item() for k in range(20)]
    assert torch.stack(sums).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-3)
