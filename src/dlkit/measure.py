"""Measuring a model on a batch: its outputs, and sums of the loss and the metrics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlkit.metrics import Metric
from dlkit.types import Batch, Loss


class Measure:
    """The loss and the metrics of a task, computed on a device in a precision."""

    def __init__(
        self, loss: Loss, metrics: dict[str, Metric], *, device: torch.device, dtype: torch.dtype = torch.float32
    ):
        self.loss, self.metrics = loss, metrics
        self.device, self.dtype = device, dtype

    def forward(self, model: nn.Module, x: Tensor) -> Tensor:
        """Outputs in float32, computed in `dtype`."""
        if self.dtype is torch.float32:
            return model(x)
        with torch.autocast(self.device.type, self.dtype):
            return model(x).float()

    @torch.no_grad()
    def measure(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs, and sums over the batch of the loss and of each metric's statistics, in float64 if there is one."""
        out = self.forward(model, batch.x)
        wide = torch.float32 if self.device.type == "mps" else torch.float64
        sums = {"loss": self.loss(out, batch.y).sum(dtype=wide)}
        for name, metric in self.metrics.items():
            sums[name] = metric.per_example(out, batch.y).sum(0, dtype=wide)
        return out, sums
