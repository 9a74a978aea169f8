"""Equal weights make a layer one unit, weights of variance 1 learn slowly, weights of variance 1/n quickly.

From equal weights every layer moves, not the last alone, but the units of a layer always move together; n is the
number of inputs of a unit. It is often said that variance 1/n keeps the size of activations whatever the activation:
it does with none, with tanh it shrinks, ReLU halves the second moment in every layer, and variance 2/n makes up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dlkit.inits import kaiming, lecun
from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.models.activations import Activation
from dlkit.models.mlp import mlp
from dlkit.plots.style import axes_of, blank, line

if TYPE_CHECKING:
    from dlkit.types import Init

DEPTH, WIDTH = 10, 512
NAMES = {"constant": "all 0.01", "normal": "N(0, 1)", "lecun": "N(0, 1/n)"}
STARTS: dict[str, tuple[Activation, Init]] = {
    "1/n, no activation": ("identity", lecun),
    "1/n, tanh": ("tanh", lecun),
    "1/n, ReLU": ("relu", lecun),
    "2/n, ReLU": ("relu", kaiming),
}


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(7, 3.8)
    left, right = axes_of(picture, 1, 2)
    for i, run in enumerate(runs):
        left.plot(*run.curve("val/accuracy"), **line(i), label=NAMES[run.choices["init"]])
    left.set(xlabel="update", ylabel="validation accuracy", ylim=(0, 1))
    left.legend(title="weights", loc="center right", bbox_to_anchor=(1, 0.68))
    sizes = {name: moments(runs[0], *how) for name, how in STARTS.items()}
    for i, (name, values) in enumerate(sizes.items(), start=3):
        right.plot(range(1, DEPTH + 1), values, **line(i), marker=".", label=name)
    right.set(xlabel="layer", ylabel="mean square before activation", yscale="log", ylim=(5e-4, 4))
    right.legend(title="variance of weights", loc="lower left")
    growth = {name: float(values[-1] / values[0]) ** (1 / (DEPTH - 1)) for name, values in sizes.items()}
    return Finding(picture, [*learned({run.choices["init"]: run for run in runs}), *kept(growth)])


def learned(runs: dict[str, Done]) -> list[Check]:
    """What became of the three starts."""
    last = {name: run.curve("val/accuracy")[1][-1] for name, run in runs.items()}
    weights = [p for name, p in runs["constant"].model().model.named_parameters() if name.endswith("weight")]
    apart = max((p - p[0]).abs().max().item() for p in weights[:-1])
    moved = min((p - runs["constant"].options["init.value"]).abs().max().item() for p in weights)
    return [
        at_most("equal weights: largest difference between units of a hidden layer", apart, 1e-6),
        at_least("equal weights: largest change of a weight, in the layer that moves least", moved, 1e-4),
        at_most("equal weights: accuracy", last["constant"], 0.3),
        at_most("variance 1: accuracy", last["normal"], 0.7),
        at_least("variance 1/n: accuracy", last["lecun"], 0.85),
    ]


def kept(growth: dict[str, float]) -> list[Check]:
    """By how much the second moment changes from layer to layer."""
    linear, tanh, halved, whole = growth.values()
    return [
        at_most("growth a layer, 1/n, no activation: from 1", abs(linear - 1), 0.1),
        at_most("growth a layer, 1/n, tanh", tanh, 0.95),
        at_most("growth a layer, 1/n, ReLU: from 1/2", abs(halved - 0.5), 0.05),
        at_most("growth a layer, 2/n, ReLU: from 1", abs(whole - 1), 0.1),
    ]


@torch.no_grad()
def moments(run: Done, activation: Activation, init: Init) -> Tensor:
    """The mean square of each hidden layer's outputs before the activation, (DEPTH,), in a new network.

    On a batch of the run's validation split, with weights drawn by the run's seed.
    """
    batch = next(run.data.eval("val"))
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(output.square().mean())

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.config["seed"])
        model = mlp(run.data.spec, 10, hidden=(WIDTH,) * DEPTH, activation=activation)
        init(model, batch)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(keep)
    model(batch.x[:1000])
    return torch.stack(found[:DEPTH])
