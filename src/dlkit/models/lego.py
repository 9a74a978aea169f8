"""A network as a list of layers: "a network is a LEGO set"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple, get_type_hints

import torch
from torch import nn

from dlkit.models.activations import ACTIVATIONS, make_activation, width_before
from dlkit.models.embedded import needs_numbers
from dlkit.models.fit import refuse_waveform
from dlkit.models.layers import PIECES, Mean, OverTime, PoolKind, Recurrent, Texts
from dlkit.types import Fraction, NonNegativeInt, PositiveInt, Spec

BETWEEN = ("batchnorm", "layernorm", "dropout")  # what may stand between a layer and its activation
WIDENED = {"linear": "units", "conv": "channels"}  # layers that maxout makes twice as wide, and their option for it
# Annotations of the pieces' options: what is expected, and whether a value is that.
CHECKS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    PositiveInt: ("a whole number of at least 1", lambda value: type(value) is int and value >= 1),
    NonNegativeInt | None: ("a whole number of at least 0", lambda value: type(value) is int and value >= 0),
    PositiveInt | None: ("a whole number of at least 1", lambda value: type(value) is int and value >= 1),
    Fraction: ("a number between 0 and 1", lambda value: type(value) in (int, float) and 0 <= value <= 1),
    PoolKind: ("max or avg", lambda value: value in ("max", "avg")),
    bool: ("true or false", lambda value: type(value) is bool),
}


class Layer(NamedTuple):
    """An entry of the list: `{conv: 32}` is ("conv", 32), `relu` is ("relu", None)."""

    name: str
    value: Any


def lego(spec: Spec, outputs: int, *, layers: Sequence[str | dict[str, Any]]) -> nn.Module:
    """The layers in their order; what comes into each follows from the one before, `out` is the width the loss wants.

    An entry is a name (`relu`, `flatten`), a name with its main option (`{conv: 32}`) or with several
    (`{conv: {channels: 32, kernel: 5}}`); models/layers.py has them all. Any activation is a layer; `maxout` makes the
    layer before it twice as wide. Raises ValueError with the number of the layer that does not fit.
    """
    needs_numbers("model=lego", spec)
    refuse_waveform("model=lego", spec)
    read = [_read(number, entry) for number, entry in enumerate(layers, start=1)]
    modules, shape = _stack(spec, outputs, read)
    if shape != (outputs,):
        raise ValueError(
            f"model.layers: the last layer gives {shape}, but the loss wants ({outputs},): "
            "let the list end with {linear: out}"
        )
    model = (Texts if spec.kind == "tokens" else nn.Sequential)(*modules).train()
    if not any(True for _ in model.parameters()):
        raise ValueError("model.layers: none of the layers has weights to train; add {linear: out}")
    return model


def _stack(spec: Spec, outputs: int, layers: list[Layer]) -> tuple[list[nn.Module], tuple[int, ...]]:
    """The modules, and the shape of an example behind the last."""
    modules: list[nn.Module] = []
    now = spec  # of what comes into the next layer
    for i, layer in enumerate(layers):
        try:
            modules.append(_make(now, outputs, layers, i))
            shape = _shape_after(modules[-1], now)
            if now.kind == "text":
                _check_steps(modules[-1], now.input_shape, shape)
        except (ValueError, RuntimeError) as error:
            why = str(error).splitlines()[0]
            raise ValueError(f"model.layers, layer {i + 1} {layer.name}: {why} (gets {now.input_shape})") from error
        now = replace(now, kind="text" if spec.kind == "tokens" else "hidden", input_shape=shape)
    return modules, now.input_shape


def _read(number: int, entry: str | dict[str, Any]) -> Layer:
    """A name and its options. Raises ValueError for what is no layer."""
    if isinstance(entry, dict) and len(entry) != 1:
        raise ValueError(f"model.layers, layer {number}: {entry} must be one name with its options, as in {{conv: 32}}")
    name, value = next(iter(entry.items())) if isinstance(entry, dict) else (entry, None)
    known = [*PIECES, *ACTIVATIONS]
    if name not in known:
        match = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {match[0]}?" if match else f"there are {', '.join(known)}"
        raise ValueError(f"model.layers, layer {number} {name}: no such layer; {hint}")
    return Layer(name, value)


def _make(spec: Spec, outputs: int, layers: list[Layer], i: int) -> nn.Module:
    """Layer `i` for what comes in. Raises ValueError where it does not take that, or its options."""
    name, value = layers[i]
    if spec.kind == "tokens" and name != "embedding":
        raise ValueError("takes numbers; put {embedding: 64} before it")
    if name in ACTIVATIONS:
        if value is not None:
            raise ValueError(f"an activation takes no options, but {value} came")
        if name == "maxout" and _neighbour(layers, i, -1) not in WIDENED:
            raise ValueError("must follow a linear or conv layer, which becomes twice as wide for it")
        module = make_activation(name)
        return OverTime(module) if len(spec.input_shape) == 2 else module
    options = _options(layers[i], outputs)
    if name in WIDENED:
        main = WIDENED[name]
        options[main] = width_before(_neighbour(layers, i, 1), options[main])
    return PIECES[name](spec, **options)


def _neighbour(layers: list[Layer], i: int, direction: int) -> str:
    """The name of the next layer in that direction, without those that may stand between a layer and its activation."""
    i += direction
    while 0 <= i < len(layers) and layers[i].name in BETWEEN:
        i += direction
    return layers[i].name if 0 <= i < len(layers) else ""


def _options(layer: Layer, outputs: int) -> dict[str, Any]:
    """The layer's options by name, with `out` as the width that the loss wants. Raises ValueError for wrong ones."""
    piece = PIECES[layer.name]
    arguments = list(inspect.signature(piece).parameters.values())[1:]  # without the spec
    names = [argument.name for argument in arguments]
    if not names and layer.value is not None:
        raise ValueError(f"takes no options, but {layer.value} came")
    short = layer.value is not None and not isinstance(layer.value, dict)
    given = {names[0]: layer.value} if short else layer.value or {}
    options = {name: outputs if value == "out" else value for name, value in given.items()}
    if unknown := [name for name in options if name not in names]:
        raise ValueError(f"has no option {unknown[0]}; it has {', '.join(names) or 'none'}")
    hints = get_type_hints(piece, include_extras=True)
    for name, value in options.items():
        expected, suits = CHECKS[hints[name]]
        if not suits(value):
            raise ValueError(f"{name}={value} must be {expected}")
    for argument in arguments:
        if argument.default is argument.empty and argument.name not in options:
            raise ValueError(f"{argument.name} is missing; write {{{layer.name}: 32}}")
    return options


def _check_steps(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Raises ValueError where a layer turns a text's steps into others, so that nobody knows which are padding."""
    if len(before) == 2 and not isinstance(module, Recurrent | Mean) and (len(after) != 2 or after[0] != before[0]):
        raise ValueError("a text must keep its steps here, as with a conv of odd kernel; or take model=lstm_text")


def _shape_after(module: nn.Module, spec: Spec) -> tuple[int, ...]:
    """The shape of an example behind the module, found by sending two through it."""
    x = torch.zeros(2, *spec.input_shape, dtype=torch.long if spec.kind == "tokens" else torch.float32)
    with torch.no_grad():
        return tuple(module.eval()(x).shape[1:])
