"""K models of the same layers as one function of stacked weights (K, …)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlkit.models.activations import Step

# Modules that act on every number by itself, so that a further axis is no matter to them.
ELEMENTWISE = (
    nn.Identity,
    Step,
    nn.Sigmoid,
    nn.Tanh,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.Softsign,
    nn.Softplus,
    nn.GELU,
    nn.SiLU,
)
Tensors = Mapping[str, Tensor]  # by the names of the model's state, each (K, …)


class Refused(Exception):
    """Why runs cannot be trained as one model."""


class Forward:
    """Outputs (K, B, C) of K models of which one is given, for inputs (K, B, …), or (B, …) that all of them see.

    Where the model is a row of linear layers, elementwise activations, `Flatten` and dropout, its products are batched
    ones over (K, B, units), in which dropout may differ: `rates` are each model's, by the layer's name. Else `vmap` of
    the model itself, about 1.3 x as long; randomness differs between replicas.
    """

    def __init__(self, models: Sequence[nn.Module]):
        self.training = True
        layers = _row(models)
        self.by_hand = layers is not None
        self.layers = layers or []
        if not self.by_hand:
            self.model = copy.deepcopy(models[0])
            self._modes = [(own, its) for own, its in zip(self.model.modules(), models[0].modules(), strict=True)]
            if any(len(set(rates)) > 1 for rates in dropout_rates(models).values()):
                raise Refused("dropout rates differ, which only layers that are stacked by hand can have")

    def __call__(self, tensors: Tensors, x: Tensor, shared: bool = False) -> Tensor:
        """`shared` says that x is (B, …), the same for all."""
        if self.by_hand:
            x = x.expand(next(iter(tensors.values())).shape[0], *x.shape) if shared else x
            for layer in self.layers:
                if self.training or not _drops(layer):
                    x = layer(tensors, x)
            return x
        for own, its in self._modes:  # a norm that is frozen stays in evaluation mode
            own.training = its.training and self.training
        return vmap(self._one, in_dims=(0, None if shared else 0), randomness="different")(dict(tensors), x)

    def _one(self, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        out: Tensor = functional_call(self.model, tensors, (x,))
        return out


def dropout_rates(models: Sequence[nn.Module]) -> dict[str, list[float]]:
    """The rates of each dropout layer, one a model."""
    kinds = nn.modules.dropout._DropoutNd
    named = [{name: m.p for name, m in model.named_modules() if isinstance(m, kinds)} for model in models]
    return {name: [one[name] for one in named] for name in named[0]}


def _row(models: Sequence[nn.Module]) -> list[Callable[[Tensors, Tensor], Tensor]] | None:
    """The layers of these models as functions of stacked weights and inputs; None where one is of another kind."""
    first = models[0]
    if type(first) is not nn.Sequential:
        return None
    rates = dropout_rates(models)
    found: list[Callable[[Tensors, Tensor], Tensor]] = []
    for name, module in first.named_children():
        if type(module) is nn.Linear:
            found.append(partial(_linear, f"{name}.weight", f"{name}.bias" if module.bias is not None else None))
        elif type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            found.append(_flatten)
        elif type(module) is nn.Dropout:
            found.append(partial(_dropout, rates[name]))
        elif type(module) in ELEMENTWISE:
            found.append(partial(_elementwise, module))
        else:
            return None
    return found


def _drops(layer: Callable[..., Tensor]) -> bool:
    return isinstance(layer, partial) and layer.func is _dropout


def _linear(weight: str, bias: str | None, tensors: Tensors, x: Tensor) -> Tensor:
    """`W xᵀ`, seen as (K, B, units): so the gradient of W comes out as W lies in memory, and is not copied again."""
    w, columns = tensors[weight], x.transpose(1, 2)
    out = torch.bmm(w, columns) if bias is None else torch.baddbmm(tensors[bias].unsqueeze(2), w, columns)
    return out.transpose(1, 2)


def _flatten(tensors: Tensors, x: Tensor) -> Tensor:
    return x.flatten(2)


def _elementwise(module: nn.Module, tensors: Tensors, x: Tensor) -> Tensor:
    out: Tensor = module(x)
    return out


def _dropout(rates: Sequence[float], tensors: Tensors, x: Tensor) -> Tensor:
    if len(set(rates)) == 1:
        return nn.functional.dropout(x, rates[0])
    p = torch.tensor(rates, device=x.device).view(-1, *[1] * (x.dim() - 1))
    kept = torch.rand(x.shape, device=x.device) >= p  # float32: bfloat16 has 256 numbers in [0, 1)
    return x * (kept / (1 - p).clamp(min=1e-9)).to(x.dtype)
