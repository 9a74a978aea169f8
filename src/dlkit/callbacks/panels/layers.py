"""How the layers of a model learn: their gradients, and how far an update moves them."""

from __future__ import annotations

import torch
from torch import Tensor

from dlkit import probe
from dlkit.callbacks.panels.panel import Board, Event, Panel
from dlkit.state import State


class Layers(Panel):
    """At logs, by layer: `within/gradient_norm/<layer>`, of its last gradient, clipped and with all penalties; and
    `within/update_ratio/<layer>`, `‖w_{t+1} − w_t‖ / ‖w_t‖` of the step after. A ratio of about 1e-3 is usual.

    The weights are copied at a log and compared after the next step; other steps cost nothing. Runs trained as one
    model have no gradients here, but the ratios.
    """

    event: Event | None = "log"

    def __init__(self) -> None:
        self.before: dict[str, list[Tensor]] = {}  # the weights, from a log to the next step

    def draw(self, state: State, board: Board) -> None:
        if gradients := probe.gradients(state.model):
            values = probe.norms(gradients.values()).tolist()  # sync point: once a round of panels
            board.scalars(
                {f"within/gradient_norm/{name}": v for name, v in zip(gradients, values, strict=True)}, state.step
            )
        if not state.done:
            self.before = _copies(state)

    def on_step(self, state: State) -> None:
        if self.before:
            before, self.before = self.before, {}
            with state.board.timed("log"):
                state.board.scalars(_ratios(before, state), state.step)


def _copies(state: State) -> dict[str, list[Tensor]]:
    return {name: [p.detach().clone() for p in own] for name, own in probe.layers(state.model).items()}


def _ratios(before: dict[str, list[Tensor]], state: State) -> dict[str, float]:
    """Of layers whose weights were all 0 there is no ratio."""
    now = probe.layers(state.model).values()
    moved = [
        [new.detach() - old for new, old in zip(*pair, strict=True)] for pair in zip(now, before.values(), strict=True)
    ]
    lengths, starts = torch.stack([probe.norms(moved), probe.norms(before.values())]).tolist()  # sync point
    found = zip(before, lengths, starts, strict=True)
    return {f"within/update_ratio/{name}": length / start for name, length, start in found if start > 0}
