"""Linear layers on top of each other are one linear layer; with a nonlinearity between them they bend the boundary.

Three spirals in the plane. Without a hidden layer there is nothing for an activation to act on; without an activation
`W₄(W₃(W₂(W₁x)))` is `Wx`, and its boundaries are straight lines, however many weights there are. The product of the
trained matrices gives the same outputs to rounding. Only both together can tell the arms apart. (What depth does change
in a linear net is how it learns, not what it can say.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.plots.plane import regions
from dlkit.plots.style import axes_of, blank
from dlkit.trained import Trained

Key = tuple[int, str]  # hidden layers and activation


def figure(runs: Sequence[Done]) -> Finding:
    by = {(len(run.config["model"]["hidden"]), run.options["model.activation"]): run for run in runs}
    accuracy = {key: run.result["metrics"]["test/accuracy"] for key, run in by.items()}
    depth = max(layers for layers, _ in by)
    bent = [activation for layers, activation in by if layers == depth and activation != "identity"]
    shown = {(0, "identity"): "no hidden layer", (depth, "identity"): f"{depth} linear hidden layers"}
    shown |= {(depth, activation): f"{depth} hidden layers, {activation}" for activation in bent}
    picture = blank(4 * len(shown))
    for axes, (key, title) in zip(axes_of(picture, columns=len(shown), sharey=True), shown.items(), strict=True):
        points = by[key].examples("test")
        regions(axes, partial(classify, by[key].model()), points.x, points.y)
        axes.set(title=f"{title}: {accuracy[key]:.0%} right", xlabel="x₁")
    picture.axes[0].set_ylabel("x₂")
    error = difference(by[depth, "identity"])
    return Finding(picture, [*_straight(accuracy, depth, error), *_bent(accuracy, depth, bent)])


def _straight(accuracy: Mapping[Key, float], depth: int, error: float) -> list[Check]:
    return [
        at_most("test accuracy without a hidden layer", accuracy[0, "identity"], 0.7),
        at_most(f"test accuracy of {depth} linear hidden layers", accuracy[depth, "identity"], 0.7),
        at_most(f"{depth} linear layers against one matrix, relative", error, 1e-5),
    ]


def _bent(accuracy: Mapping[Key, float], depth: int, activations: Sequence[str]) -> list[Check]:
    straight = accuracy[0, "identity"]
    return [
        check
        for name in activations
        for check in (
            at_most(f"{name} without a hidden layer: change of its accuracy", abs(accuracy[0, name] - straight), 0),
            at_least(f"test accuracy of {depth} hidden layers with {name}", accuracy[depth, name], 0.95),
        )
    ]


def classify(trained: Trained, x: np.ndarray) -> np.ndarray:
    """The classes (N,) of points (N, 2)."""
    return trained.outputs(torch.from_numpy(x)).argmax(-1).numpy()


def difference(run: Done) -> float:
    """`max |net(x) − (Wx + b)| / max |net(x)|` over the test split, W and b of `collapsed`."""
    trained, x = run.model(), run.examples("test").x
    outputs = trained.outputs(x)
    weight, bias = collapsed([module for module in trained.model.modules() if isinstance(module, nn.Linear)])
    return float((x @ weight.T + bias - outputs).abs().max() / outputs.abs().max())


def collapsed(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """The one matrix (K, F) and bias (K,) that linear layers, one after the other, are."""
    weight, bias = layers[0].weight.detach(), layers[0].bias.detach()
    for layer in layers[1:]:
        weight, bias = layer.weight @ weight, layer.weight @ bias + layer.bias
    return weight, bias
