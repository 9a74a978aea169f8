"""Gradient clipping."""

from __future__ import annotations

import torch

from dlkit.callbacks.base import Callback
from dlkit.state import State
from dlkit.types import Positive


class GradClip(Callback):
    """Scales the gradient g of all parameters to `g · min(1, max_norm/‖g‖₂)` (Pascanu et al. 2013)."""

    def __init__(self, *, max_norm: Positive | None = None):
        self.max_norm = max_norm

    def listens(self, event: str) -> bool:
        return self.max_norm is not None

    def on_grad(self, state: State) -> None:
        if self.max_norm is not None:
            state.grad_norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), self.max_norm)
