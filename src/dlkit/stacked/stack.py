"""The weights of several runs in stacked tensors, of which each run's own are views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlkit.stacked.forward import Refused
from dlkit.state import State


class Stack:
    """Parameters and buffers of K models in tensors (K, …), by name; the models' own become views of them.

    Raises Refused where the models differ in a name, a shape or in what is trained.
    """

    def __init__(self, states: Sequence[State]):
        self.states = list(states)
        self.models = [state.model for state in states]
        looks = {_look(model) for model in self.models}
        if len(looks) > 1:
            raise Refused("their models have different layers")
        self.params = {
            name: _stacked([p.data for p in each], each[0].requires_grad) for name, each in self._parameters()
        }
        self.buffers = {name: _stacked(each, False) for name, each in self._buffers()}
        for name, each in self._all():
            for view, own in zip(self.tensors[name].detach(), each, strict=True):
                own.data = view

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.params | self.buffers

    @property
    def trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.params.items() if p.requires_grad}

    def _parameters(self) -> list[tuple[str, list[nn.Parameter]]]:
        named = [dict(model.named_parameters()) for model in self.models]
        return [(name, [one[name] for one in named]) for name in named[0]]

    def _all(self) -> list[tuple[str, Sequence[Tensor]]]:
        return [*self._parameters(), *self._buffers()]

    def _buffers(self) -> list[tuple[str, list[Tensor]]]:
        named = [dict(model.named_buffers()) for model in self.models]
        return [(name, [one[name] for one in named]) for name in named[0]]

    def give_gradients(self) -> None:
        """Makes the gradients of each model's parameters views of the stacked ones."""
        for name, each in self._parameters():
            grad = self.params[name].grad
            for k, p in enumerate(each):
                p.grad = None if grad is None else grad[k]

    def release(self, k: int) -> None:
        """Gives run k weights, buffers and moments of its own."""
        for _, tensors in self._all():
            tensors[k].data = tensors[k].data.clone()
        for p in self.models[k].parameters():
            p.grad = None
        moments = self.states[k].optim.state
        for param, of_one in moments.items():
            moments[param] = {key: v.clone() if isinstance(v, Tensor) else v for key, v in of_one.items()}


def stacked_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """State dicts as tensors (K, …) by name."""
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def _stacked(tensors: Sequence[Tensor], trained: bool) -> Tensor:
    return torch.stack([tensor.detach() for tensor in tensors]).requires_grad_(trained)


def _look(model: nn.Module) -> str:
    """Names, shapes and kinds of a model's parameters and buffers, and the kinds of its modules."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return str(
        [[(n, tuple(t.shape), t.dtype, t.requires_grad) for n, t in tensors], [type(m) for m in model.modules()]]
    )
