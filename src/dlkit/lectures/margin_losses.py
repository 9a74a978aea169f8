"""Five margin losses bound the 0–1 loss from above; outliers pull the line the farther, the steeper the loss.

`M = y·f(x)` is positive where the sign is right. All five lie on or above `[M ≤ 0]` and meet it at `M = 0`, where they
are 1; the perceptron's `(−M)₊` does not. So the share of errors is at most the mean loss: a bound on the errors, which
does not say that the least loss has the least errors. Two clouds, and 4 % of the points far off with the wrong label:
the exponential and the quadratic loss move the line most, logistic and hinge, which grow in proportion, less, and the
sigmoid, which is bounded but not convex, hardly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dlkit import losses
from dlkit.data.examples import Examples
from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line
from dlkit.rng import SYNTHETIC, stream
from dlkit.types import Batch, NonNegative, NonNegativeInt, PositiveInt, ProperFraction, Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TWO = Spec("tabular", (2,), 2, "classification", classes=("left", "right"), class_counts=(1, 1))
FORMULAS = {
    "margin_quadratic": "quadratic (1 − M)²",
    "hinge": "hinge (1 − M)₊",
    "margin_sigmoid": "sigmoid 2/(1 + eᴹ)",
    "logistic": "logistic log₂(1 + e⁻ᴹ)",
    "exponential": "exponential e⁻ᴹ",
}
STEEPEST_FIRST = ("exponential", "margin_quadratic", "logistic", "hinge")
MARGINS = torch.linspace(-3, 2.5, 551)


def figure(runs: Sequence[Done]) -> Finding:
    seed = runs[0].config["data"]["sample_seed"]
    clean = clouds(name="clouds", examples=5000, noise=0.5, outliers=0, sample_seed=seed + 1000).splits["train"]
    lines = {run.choices["loss"]: _line(run) for run in runs}
    accuracy = {name: _accuracy(weight, bias, *clean) for name, (weight, bias) in lines.items()}
    moved = {name: float(-bias / weight[0]) for name, (weight, bias) in lines.items()}  # where it crosses the axis
    picture = blank(11, 4.6)
    left, right = axes_of(picture, columns=2)
    _draw_losses(left, list(lines))
    _draw_lines(right, runs[0].examples("train"), lines, accuracy)
    above = torch.stack([phi(name, MARGINS) - (MARGINS <= 0).float() for name in lines])
    at_zero = torch.stack([phi(name, torch.zeros(1)) for name in lines])
    slack = [run.result["metrics"]["train/loss"] + run.result["metrics"]["train/accuracy"] - 1 for run in runs]
    gains = [moved[steep] - moved[flat] for steep, flat in pairwise(STEEPEST_FIRST)]
    gap = accuracy["margin_sigmoid"] - accuracy["exponential"]
    no_bound = phi("perceptron", MARGINS) - (MARGINS <= 0).float()
    return Finding(
        picture,
        [
            at_least("least of loss − [M ≤ 0], all five", float(above.min()), 0),
            at_most("largest |loss − 1| at M = 0, all five", float((at_zero - 1).abs().max()), 1e-6),
            at_most("least of loss − [M ≤ 0], the perceptron's", float(no_bound.min()), -0.9),
            at_least("least of mean loss − share of errors, trained", min(slack), 0),
            at_most("the line moved by outliers: sigmoid", abs(moved["margin_sigmoid"]), 0.15),
            at_least("the same: exponential", moved["exponential"], 0.4),
            at_least("the same: least gain of each steeper loss over the next", min(gains), 0),
            at_least("clean points: accuracy of sigmoid − exponential", gap, 0.04),
        ],
    )


def phi(name: str, margins: Tensor) -> Tensor:
    """The loss of that name at margins (N,): of the class +1, whose margin is the output itself."""
    loss: losses.Margin = getattr(losses, name)(TWO)
    return loss(margins.unsqueeze(1), torch.ones(len(margins), dtype=torch.int64))


def clouds(
    *,
    name: str,
    examples: PositiveInt,
    noise: NonNegative,
    outliers: ProperFraction,
    sample_seed: NonNegativeInt,
) -> Examples:
    """Two clouds about (−1, 0) and (1, 0), and a part of the points about (5, 0) with the label of the left one."""
    generator = stream(SYNTHETIC, sample_seed)
    y = torch.arange(examples) % 2
    x = noise * torch.randn(examples, 2, generator=generator)
    x[:, 0] += 2 * y - 1
    far = torch.randperm(examples, generator=generator)[: int(outliers * examples)]
    x[far] = torch.tensor([5.0, 0.0]) + noise * torch.randn(len(far), 2, generator=generator)
    y[far] = 0
    return Examples("tabular", "classification", {"train": (x, y)}, ("left", "right"))


def _line(run: Done) -> tuple[Tensor, float]:
    """Weights (2,) and bias of a linear model with one output."""
    (layer,) = (module for module in run.model().model.modules() if isinstance(module, nn.Linear))
    return layer.weight[0], float(layer.bias[0])


def _accuracy(weight: Tensor, bias: float, x: Tensor, y: Tensor) -> float:
    return float(((x @ weight + bias > 0) == (y == 1)).float().mean())


def _draw_losses(axes: Axes, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        axes.plot(MARGINS, phi(name, MARGINS), **line(i), label=FORMULAS.get(name, name))
    axes.step(MARGINS, MARGINS <= 0, color="black", linewidth=2.5, label="0–1: [M ≤ 0]")
    axes.set(xlabel="margin M = y·f(x)", ylabel="loss", ylim=(-0.1, 5))
    axes.legend()


def _draw_lines(axes: Axes, batch: Batch, lines: dict[str, tuple[Tensor, float]], accuracy: dict[str, float]) -> None:
    for k, marker in enumerate("o^"):
        across, height = batch.x[batch.y == k].T
        axes.scatter(across, height, s=12, marker=marker, color=("#999999", "#333333")[k], label=f"y = {'−+'[k]}1")
    up = torch.tensor([-3.2, 2.2])
    for i, (name, (weight, bias)) in enumerate(lines.items()):
        style = line(i)
        label = f"{FORMULAS[name].split()[0]}: {accuracy[name]:.1%}"
        axes.plot(-(bias + weight[1] * up) / weight[0], up, **style, linewidth=2, label=label)
    axes.set(xlabel="x₁", ylabel="x₂", ylim=(-3.2, 2.2), title="boundaries, and accuracy on points without outliers")
    axes.legend(loc="lower right", ncols=2, fontsize="small")
