"""Exponential moving average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A second model whose parameters follow the first's: `θ̄ ← d θ̄ + (1 − d) θ` after every update.

    `d = min(decay, (1 + t)/(10 + t))` after t updates, so that the random start is soon forgotten. Buffers (the running
    statistics of batch norm) are copied, not averaged.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.means: list[torch.Tensor] = list(self.model.parameters())
        self.buffers = list(self.model.buffers())
        self.params: list[torch.Tensor] = list(model.parameters())
        self.their_buffers = list(model.buffers())

    @torch.no_grad()
    def update(self, step: int | torch.Tensor, void: torch.Tensor | None = None) -> None:
        """Follows the model after its update number `step` (from 1); not where `void`, a flag on the device, is set."""
        early = (1 + step) / (10 + step)
        share = 1 - (early.clamp(max=self.decay) if isinstance(early, torch.Tensor) else min(self.decay, early))
        share = share if void is None else share * ~void
        if isinstance(share, torch.Tensor):  # `_foreach_lerp_` would wait for it
            for mean, param in zip(self.means, self.params, strict=True):
                mean.lerp_(param, share)
        else:
            torch._foreach_lerp_(self.means, self.params, share)
        for mean, buffer in zip(self.buffers, self.their_buffers, strict=True):
            mean.copy_(buffer if void is None else torch.where(void, mean, buffer))

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(state)
