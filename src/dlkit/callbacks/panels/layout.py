"""Which curves share a chart in TensorBoard's Custom Scalars tab."""

from __future__ import annotations

from typing import Any

from dlkit.callbacks.base import Callback
from dlkit.state import State

LAYERS = {  # charts of what callbacks write for each layer, by their class
    "dlkit.callbacks.panels.layers.Layers": {
        "norm of the gradient": "within/gradient_norm/",
        "norm of the update / norm of the weights": "within/update_ratio/",
    },
    "dlkit.callbacks.panels.activations.Activations": {
        "mean of the outputs": "within/activation_mean/",
        "deviation of the outputs": "within/activation_std/",
        "saturated outputs and dead units, share": "within/(saturated|dead)/",
    },
}


class Layout(Callback):
    """Puts train and validation of each metric into one chart, and all layers of what callbacks write for each layer.

    Charts stand in two groups, "metrics" and "layers"; over a sweep every chart has the curves of all runs.
    """

    writes = True

    def __init__(self) -> None:
        self.written = False

    def on_log(self, state: State, figures: dict[str, float]) -> None:
        if self.written or state.board is None:
            return
        self.written = True
        names = ["loss", *(state.measure.metrics if state.measure else ())]
        groups = {"metrics": {name: [f"{split}/{name}$" for split in ("train", "val")] for name in names}}
        if layers := _of_layers(state.config):
            groups["layers"] = {title: [prefix] for title, prefix in layers.items()}
        charts = {
            group: {title: ["Multiline", patterns] for title, patterns in charts.items()}
            for group, charts in groups.items()
        }
        state.board.writer.add_custom_scalars(charts)


def _of_layers(config: dict[str, Any]) -> dict[str, str]:
    """Titles of charts, and how the names of their curves begin."""
    there = {node.get("_target_") for node in config.get("callbacks", {}).values() if node}
    return {title: prefix for name, charts in LAYERS.items() if name in there for title, prefix in charts.items()}
