"""The events of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from dlkit.state import State


class Callback:
    """Does nothing at each event; subclasses fill in what they need.

    Of several processes that train one model each has its own, which see the same figures. What only shows or writes
    says `writes = True`: the first process alone has it.
    """

    writes = False
    wants_outputs = False  # whether `on_eval` finds the outputs and targets of the evaluation in `state.outputs`

    def listens(self, event: str) -> bool:
        """Whether its options make something of the event `on_…`; else it is not called. Asked before the first one."""
        return True

    def check(self, figures: Collection[str]) -> None:
        """Before the run: `figures` are the names that `on_eval` will bring, none where there is no validation split.

        Raises ValueError where the callback asks for another.
        """

    def on_start(self, state: State) -> None:
        """Before the first step."""

    def on_grad(self, state: State) -> None:
        """After the gradients, before the update."""

    def on_step(self, state: State) -> None:
        """After an update."""

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        """Every `trainer.log_every` steps: train/loss, train/<metric>, lr, samples_per_second."""

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        """After an evaluation on the validation split: val/loss, val/<metric>."""

    def on_checkpoint(self, state: State) -> None:
        """The run is being saved, last at its step: write out what is held back, for a resume begins here."""

    def on_end(self, state: State) -> None:
        """Training is over, well or not: `state.status` says."""

    def on_result(self, state: State, result: dict[str, Any]) -> None:
        """The final figures, as they stand in result.json."""

    def state_dict(self) -> dict[str, Any]:
        """What must survive a resume."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave."""


EVENTS = ("on_start", "on_grad", "on_step", "on_log", "on_eval", "on_checkpoint", "on_end")  # of training


def handlers(callbacks: Sequence[Callback]) -> dict[str, list[Callable[..., None]]]:
    """By event what is to be called. A method that `Callback` leaves empty is not: ten would cost a step 2.7 µs."""
    bound = {event: [getattr(one, event) for one in callbacks if one.listens(event)] for event in EVENTS}
    empty = {event: getattr(Callback, event) for event in EVENTS}
    return {
        event: [method for method in methods if getattr(method, "__func__", None) is not empty[event]]
        for event, methods in bound.items()
    }
