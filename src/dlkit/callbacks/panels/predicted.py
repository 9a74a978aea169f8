"""Panel of numbers: predicted against true."""

from __future__ import annotations

from dlkit.answers import in_own_unit
from dlkit.callbacks.panels.panel import Board, Panel, answers
from dlkit.plots.numbers import predicted
from dlkit.plots.style import png
from dlkit.state import State


class Predicted(Panel):
    """Predicted against true numbers of the validation split, in their own unit, as an image, `val/predicted`.

    Silent for classes as targets.
    """

    wants_outputs = True

    def draw(self, state: State, board: Board) -> None:
        found = answers(state)
        if found is None or state.spec.task != "regression":
            return
        out, y = (in_own_unit(state.spec, numbers).numpy() for numbers in found)
        board.picture("val/predicted", png(predicted(y, out)), state.step)
