"""One training step: precision, accumulation, averaging and the guard live here only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from dlkit.ema import Ema
from dlkit.guard import Guard, NonFinite
from dlkit.losses import Margin
from dlkit.measure import Measure
from dlkit.metrics import Metric
from dlkit.regularizers import Around, Part, parts, weights, zero_weights
from dlkit.state import State
from dlkit.types import Batch, Loss


class Engine(Measure):
    """Computes gradients and updates weights.

    Nothing in a step waits for a GPU, but for float16's scaler where the optimiser is not fused.
    """

    def __init__(
        self,
        state: State,
        loss: Loss,
        metrics: dict[str, Metric],
        regularizer: Part | Sequence[Part] | None = None,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        accumulate: int = 1,
        nan_guard: bool = True,
    ):
        super().__init__(loss, metrics, device=device, dtype=dtype)
        self.state, self.accumulate = state, accumulate
        self.model: nn.Module = state.model  # as it is called in training
        self.weights = weights(state.model)
        acting = parts(regularizer) if self.weights else []
        self.penalties = [part for part in acting if not isinstance(part, Around)]
        self.arounds = [part for part in acting if isinstance(part, Around)]
        self.params = [p for p in state.model.parameters() if p.requires_grad]
        self.scaler = torch.amp.GradScaler(device.type) if dtype is torch.float16 else None
        if self.scaler:  # it looks for infinite gradients itself and skips those steps
            state.parts["scaler"] = self.scaler
        self.nan_guard = nan_guard
        self.overflow = loss.overflow if isinstance(loss, Margin) else ""
        guarded, deferred = nan_guard and not self.scaler, device.type != "cpu"
        self.guard = Guard(state.model, state.optim, deferred=deferred, overflow=self.overflow) if guarded else None
        self.share: Tensor | None = None  # of each example of a part in the gradient: 1 / size of the whole batch
        self.size = 0.0
        self.last: tuple[Tensor, Tensor] | None = None  # outputs and targets of the last batch, for the log

    @property
    def makes_zeros(self) -> bool:
        """Whether the regulariser makes weights exactly zero."""
        return any(part.makes_zeros for part in self.arounds)

    def backward(self, batch: Batch) -> None:
        """Gradients of the mean loss over the batch plus the penalties."""
        if self.guard:
            self.guard.keep_buffers()
        for p in self.params:  # optim.zero_grad takes 8 µs longer
            p.grad = None
        size, penalties, losses = len(batch.y), self.penalties, []
        for part in self._parts(batch):
            out = self.forward(self.model, part.x)
            of_part = [penalty(self.weights) for penalty in penalties]
            losses.append(self._backward(self.loss(out, part.y), of_part, size))
            penalties = []  # once a batch
        self.last = (out.detach(), part.y)
        self.batch_loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        if self.scaler:
            self.scaler.unscale_(self.state.optim)

    @torch.no_grad()
    def update(self) -> None:
        """One optimiser step, with what acts around it, after which the loss joins `state.losses`.

        Raises NonFinite, or makes the step void, where the loss or a gradient is not finite.
        """
        self._update(self.state.step)
        self.state.losses.append(self.batch_loss)

    def check(self) -> None:
        """Raises NonFinite where a step was void; waits for the device."""
        if self.guard:
            self.guard.check()

    def read_log(self) -> dict[str, float]:
        """The mean loss since the last log, metrics and gradient norm of the last batch; waits for the device."""
        self.check()
        figures = {"train/loss": torch.stack(self.state.losses).mean()}
        self.state.losses.clear()
        assert self.last is not None, "a log is read after a step"
        for name, metric in self.metrics.items():
            figures[f"train/{name}"] = metric.finish(self._mean(metric.per_example(*self.last)))
        norm = self.state.grad_norm
        gradients = [p.grad for p in self.params if p.grad is not None]
        figures["train/grad_norm"] = torch.nn.utils.get_total_norm(gradients) if norm is None else norm
        if self.makes_zeros:
            figures["train/zero_weights"] = zero_weights(self.weights)
        values = dict(zip(figures, torch.stack(list(figures.values())).tolist(), strict=True))
        if self.scaler and self.nan_guard and not math.isfinite(values["train/loss"]):
            # the scaler would skip every step from here on
            raise NonFinite(self.state.step - 1, "the loss in float16", self.overflow)
        return values

    def _parts(self, batch: Batch) -> Iterable[Batch]:
        """The batch cut for accumulation; the parts may be ragged."""
        if self.accumulate == 1:
            return [batch]
        xs, ys = batch.x.tensor_split(self.accumulate), batch.y.tensor_split(self.accumulate)
        return [Batch(x, y) for x, y in zip(xs, ys, strict=True)]

    def _mean(self, statistics: Tensor) -> Tensor:
        """Over the examples (B, …) of a batch."""
        return statistics.mean(0)

    def _update(self, step: int | Tensor) -> None:
        """Update number `step` (from 0) of weights and averages; a tensor where a graph of it is recorded."""
        state = self.state
        for part in self.arounds:
            part.before_update(self.weights)
        if self.scaler:
            self.scaler.step(state.optim)
            self.scaler.update()
        elif self.guard:
            self.guard.step(step, self.batch_loss)
        else:
            state.optim.step()
        for part in self.arounds:
            part.after_update(self.weights)
        if isinstance(ema := state.parts.get("ema"), Ema):
            ema.update(step + 1, void=self.guard.void if self.guard else None)

    def _backward(self, losses: Tensor, penalties: list[Tensor], size: float) -> Tensor:
        """Adds the gradients of the losses' sum over `size`, the whole batch, and of the penalties; gives the first.

        As a dot product with 1/size: a mean in the graph takes 20 µs longer.
        """
        if self.share is None or self.share.shape != losses.shape or self.size != size:
            self.share, self.size = torch.full_like(losses, 1 / size, requires_grad=False), size
        loss = torch.dot(losses, self.share)
        total = sum(penalties, loss)
        (self.scaler.scale(total) if self.scaler else total).backward()
        return loss.detach()
