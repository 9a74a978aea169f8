"""What a network's first layer looks for, and what its convolutions find in an image."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor, nn

from dlkit import probe
from dlkit.callbacks.panels.panel import Board, Panel
from dlkit.callbacks.panels.samples.pictures import images_of
from dlkit.plots.filters import Array, feature_maps, filters
from dlkit.plots.style import png
from dlkit.state import State
from dlkit.types import PositiveInt, Spec

DEPTHS = 8  # layers whose maps are drawn, at most


class Filters(Panel):
    """The weights of the first layer as pictures: filters of a convolution, or the units of a dense layer on images.

    Of other models and data it draws nothing.
    """

    def draw(self, state: State, board: Board) -> None:
        found = first_filters(state.eval_model, state.spec)
        if found is not None:
            name, weights = found
            count, _, height, width = weights.shape
            title = f"{name}: {count} {'filter' if count == 1 else 'filters'} of {height} × {width}"
            board.picture("within/filters", png(filters(weights.cpu().numpy(), title=title)), state.step)


class FeatureMaps(Panel):
    """What convolutions make of `count` validation images, by depth; of sounds, of their spectra, time to the right.

    Each map is what comes out before it is made smaller: behind norm and activation. Of models without convolutions in
    two dimensions it draws nothing.
    """

    def __init__(self, *, count: PositiveInt = 1) -> None:
        self.count = count

    def draw(self, state: State, board: Board) -> None:
        assert state.data is not None
        for number, row in enumerate(state.data.order("val")[: self.count]):
            x, y = state.data.examples("val", row[None])
            with probe.quiet(state.eval_model):
                found = maps_by_depth(state.eval_model, x)
            if not found:
                return
            layers = [(name, _upright(maps, state.spec)) for name, maps in found.items()]
            raw = state.data.raw("val", row[None]) if state.spec.kind == "image" else None
            picture = layers[0][1].mean(0) if raw is None else images_of(state, raw)[0]
            title = f"true class: {state.spec.classes[int(y)]}" if state.spec.task == "classification" else ""
            drawn = png(feature_maps(picture, layers[1:], title=title))
            board.picture(f"within/feature_maps/{number}", drawn, state.step)


def _upright(maps: Tensor, spec: Spec) -> Array:
    """(C, h, w); of sounds, (C, time, frequency), the low frequencies below."""
    return (maps.transpose(1, 2).flip(1) if spec.kind == "waveform" else maps).cpu().numpy()


def first_filters(model: nn.Module, spec: Spec) -> tuple[str, Tensor] | None:
    """Name and weights (n, C, h, w) of the first layer, where it is a convolution in two dimensions, or dense and on
    images, whose units are as large as these; else None."""
    layers = (pair for pair in model.named_modules() if isinstance(pair[1], nn.Linear | nn.modules.conv._ConvNd))
    name, layer = next(layers, ("", None))
    if isinstance(layer, nn.Conv2d):
        return probe.label(name, layer), layer.weight.detach()
    if isinstance(layer, nn.Linear) and spec.kind == "image" and layer.in_features == prod(spec.input_shape):
        return probe.label(name, layer), layer.weight.detach().unflatten(1, spec.input_shape)
    return None


def maps_by_depth(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Feature maps (C, h, w) of the first example of x: what comes into the first convolution in two dimensions,
    "input", and what comes out by the names of the convolutions, of which `DEPTHS` evenly at most.

    Of each what the last module gives that follows it and leaves the shape as it is: norm, activation. Leaves hooks as
    they are; mode and gradients are the caller's matter.
    """
    found: dict[str, Tensor] = {}
    names = {module: name for name, module in model.named_modules() if not list(module.children())}

    def keep(module: nn.Module, inputs: Any, out: Any) -> None:
        if isinstance(module, nn.Conv2d):
            found.setdefault("input", inputs[0][0].clone())
            found[names[module]] = out[0].clone()  # what follows may act in place
        elif found and isinstance(out, Tensor) and out[0].shape == (last := next(reversed(found.values()))).shape:
            last.copy_(out[0])

    hooks = [module.register_forward_hook(keep) for module in names]
    try:
        model.forward(x)  # not what torch.compile made of it, which would not see the hooks
    finally:
        for hook in hooks:
            hook.remove()
    convolutions = list(found)[1:]
    kept = convolutions[:: -(-len(convolutions) // DEPTHS) or 1]
    return {name: found[name] for name in ["input", *kept]} if kept else {}
