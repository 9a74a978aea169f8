"""What the units of a model give: their mean, deviation, saturated and dead share."""

from __future__ import annotations

from dlkit import probe
from dlkit.callbacks.panels.panel import Board, Panel
from dlkit.state import State


class Activations(Panel):
    """At evaluations, over 256 training examples in evaluation mode, for each activation function and recurrent layer:

    `within/activation_mean/<layer>` and `within/activation_std/<layer>`, over all units and examples;
    `within/saturated/<layer>`, the share of the outputs of a sigmoid, tanh or softsign whose slope is below 5 % of its
    largest; `within/dead/<layer>`, the share of a ReLU's units that are 0 for every example. Of a model without such
    modules: mean and deviation of every layer.
    """

    def draw(self, state: State, board: Board) -> None:
        figures: dict[str, float] = {}
        for name, seen in probe.look(state).layers.items():
            figures |= {f"within/activation_mean/{name}": seen.mean, f"within/activation_std/{name}": seen.std}
            figures |= {} if seen.saturated is None else {f"within/saturated/{name}": seen.saturated}
            figures |= {} if seen.dead is None else {f"within/dead/{name}": seen.dead}
        board.scalars(figures, state.step)
