"""The events of a run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dlkit.state import State


class Callback:
    """Does nothing at each event; subclasses fill in what they need."""

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
