"""Linear layers on top of each other are one linear layer; with a nonlinearity between them they bend the boundary.

Three spirals in the plane. Without a hidden layer there is nothing for an activation to act on; without an activation
`W₄(W₃(W₂(W₁x)))` is `Wx`, and its boundaries are straight lines, however many weights there are. The product of the
trained matrices gives the same outputs to rounding. Only both together can tell the arms apart. (What depth does change
in a linear net is how it learns, not what it can say.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.plane import regions
from dlkit.plots.style import axes_of, blank
from dlkit.trained import Trained

SHOWN = {  # hidden layers and activation
    (0, "identity"): "no hidden layer",
    (3, "identity"): "3 linear hidden layers",
    (3, "tanh"): "3 hidden layers, tanh",
}


def figure(runs: Sequence[Done]) -> Finding:
    by = {(len(run.config["model"]["hidden"]), run.options["model.activation"]): run for run in runs}
    accuracy = {key: run.result["metrics"]["test/accuracy"] for key, run in by.items()}
    picture = blank(12)
    for axes, (key, title) in zip(axes_of(picture, columns=3, sharey=True), SHOWN.items(), strict=True):
        points = by[key].examples("test")
        regions(axes, partial(classify, by[key].model()), points.x, points.y)
        axes.set(title=f"{title}: {accuracy[key]:.0%} right", xlabel="x₁")
    picture.axes[0].set_ylabel("x₂")
    return Finding(
        picture,
        [
            at_most("test accuracy without a hidden layer", accuracy[0, "identity"], 0.7),
            at_most(
                "tanh without a hidden layer: change of that", abs(accuracy[0, "tanh"] - accuracy[0, "identity"]), 0
            ),
            at_most("test accuracy of three linear hidden layers", accuracy[3, "identity"], 0.7),
            at_least("test accuracy of three hidden layers with tanh", accuracy[3, "tanh"], 0.95),
            at_most("three linear layers against one matrix, relative", difference(by[3, "identity"]), 1e-5),
        ],
    )


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
