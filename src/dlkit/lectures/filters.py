"""A CNN's first filters begin as noise and become smoother; from layer to layer classes are easier to tell apart.

A filter is smooth where neighbouring weights are alike: `Σ w w' / Σ w²` over neighbours, 0 for noise and 1 for what is
even. How easily classes are told apart is the accuracy of the nearest class mean, among what a layer gives. Deeper maps
can hardly be read by eye: that they show ever larger parts of things is true of much deeper nets on photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dlkit import runs as saved
from dlkit.build import build
from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.filters import SIGNED, tiles
from dlkit.plots.style import MAIN, SHADES, axes_of, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 16  # filters, and maps of a layer


def figure(runs: Sequence[Done]) -> Finding:
    (run,) = runs
    begun, model = build(saved.completed(run.config), Path()).state.model, run.model().model
    before, after = (next(m for m in net.modules() if isinstance(m, nn.Conv2d)).weight[:, 0] for net in (begun, model))
    train, test = run.examples("train"), run.examples("test")
    learnt, seen = layers(model, train.x), layers(model, test.x)
    told = {name: nearest_mean(learnt[name], train.y, seen[name], test.y) for name in seen}
    picture = blank(8.2, 5.6)
    axes = axes_of(picture, 2, 3)
    for place, name, title in zip(
        axes[3:], seen, ("input", "feature maps, layer 1", "feature maps, layer 2"), strict=False
    ):
        _sheet(place, tiles(seen[name][0][:SHOWN].numpy()), SHADES if "maps" in title else "gray", title)
    most = float(after.abs().max())
    for i, (weights, title) in enumerate(((before, "filters at the start"), (after, "filters, trained"))):
        values = weights[:SHOWN].detach().numpy()
        _sheet(axes[i], tiles(values), SIGNED, f"{title}\nsmoothness {smoothness(weights):.2f}", most)
    bars = axes[2].barh(list(told), list(told.values()), color=MAIN, height=0.6)
    axes[2].bar_label(bars, [f"{value:.1%}" for value in told.values()], padding=-40, color="white")
    axes[2].set(title="told apart by the nearest mean", xlim=(0, 1), xticks=(0, 0.5, 1))
    axes[2].grid(False, axis="y")
    axes[2].invert_yaxis()
    for place in axes:
        place.title.set_fontsize(10)
    return Finding(
        picture,
        [
            at_most("smoothness of the filters at the start", abs(smoothness(before)), 0.12),
            at_least("after training", smoothness(after), 0.15),
            at_least("nearest class mean: layer 2 − pixels", told["layer 2"] - told["pixels"], 0.02),
            at_least("last hidden layer − pixels", told["dense"] - told["pixels"], 0.03),
        ],
    )


@torch.no_grad()
def layers(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What a `cnn` with two convolutions gives for images: pixels, after each pooling, and the last hidden layer."""
    found, count = {"pixels": x}, 0
    modules = list(model.children())
    for module in modules[:-1]:
        x = module(x)
        if isinstance(module, nn.MaxPool2d):
            count += 1
            found[f"layer {count}"] = x
    return found | {"dense": x}


def smoothness(filters: Tensor) -> float:
    """`Σ w w' / Σ w²` of neighbours in filters (n, k, k), each sum as a mean over its terms; the mean over filters."""
    w = filters.detach().double()
    across, down = w[:, :, 1:] * w[:, :, :-1], w[:, 1:] * w[:, :-1]
    return float(((across.mean((1, 2)) + down.mean((1, 2))) / 2 / w.square().mean((1, 2))).mean())


def nearest_mean(x: Tensor, y: Tensor, new: Tensor, truth: Tensor) -> float:
    """The accuracy (new, truth) of the class whose mean in (x, y) is nearest."""
    means = torch.stack([x[y == k].flatten(1).mean(0) for k in range(int(y.max()) + 1)])
    return float((torch.cdist(new.flatten(1), means).argmin(1) == truth).float().mean())


def _sheet(axes: Axes, pixels: NDArray[Any], colours: str, title: str, most: float | None = None) -> None:
    """A picture without axes; `most` is the largest value of a scale around 0."""
    axes.imshow(pixels, colours, interpolation="nearest", vmin=None if most is None else -most, vmax=most)
    axes.set(title=title)
    axes.set_axis_off()
