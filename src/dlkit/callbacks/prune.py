"""Ends runs of a search that promise little."""

from __future__ import annotations

import json
from pathlib import Path

from dlkit.callbacks.base import Callback
from dlkit.state import State


class Prune(Callback):
    """Ends a run whose best value so far is worse than the median of other runs at the same epoch (the median stopping
    rule, Golovin et al. 2017).

    The search adds it to its jobs, last of their callbacks, and keeps the medians up to date in the file `medians`:
    `{"higher_is_better": …, "medians": [[epoch, median of the best values by then], …]}`. The value is what the
    checkpoint callback watches. Where the file is missing, nothing is pruned, nor is a run outside the search's folder,
    so that `dlkit reproduce` comes to the same end as the job did.
    """

    def __init__(self, *, medians: str):
        self.path = Path(medians)

    def on_eval(self, state: State, figures: dict[str, float]) -> None:
        if state.done or not state.best or self.path.parent.resolve() != state.folder.parent.resolve():
            return  # at the end there is nothing to save
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        by_now = [median for epoch, median in known["medians"] if epoch <= round(state.epoch, 4)]
        if not by_now:
            return
        value, median = state.best["value"], by_now[-1]
        if value < median if known["higher_is_better"] else value > median:
            metric = state.best["metric"]
            state.stop = (
                f"pruned at epoch {state.epoch:.4g}: {metric} {value:.4g} is worse than the median {median:.4g}"
            )
