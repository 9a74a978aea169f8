"""From raw tensors to probabilities: what is exported."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from dlkit.export.inputs import front
from dlkit.trained import Trained
from dlkit.types import Loss, Spec


class Answer(nn.Module):
    """Outputs of a model (B, K) -> what it says, called `name`.

    probabilities float32 (B, classes); scores, where the loss gives none: the outputs, of a single one its negative and
    itself; values float64 (B, targets) in the targets' own unit, since float32 has not the digits for a mean of many
    deviations.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, spec: Spec, loss: Loss) -> None:
        super().__init__()
        self.loss = loss
        self.name = "values" if spec.task == "regression" else "probabilities"
        self.register_buffer("mean", torch.tensor(spec.target_mean or (0.0,), dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(spec.target_std or (1.0,), dtype=torch.float64))
        if self.name == "probabilities":
            try:
                loss.probabilities(torch.zeros(1, loss.outputs))
            except ValueError:  # a loss without a link says so
                self.name = "scores"

    def forward(self, out: Tensor) -> Tensor:
        if self.name == "values":
            return out.double() * self.deviation + self.mean
        if self.name == "probabilities":
            return self.loss.probabilities(out)
        return torch.cat([-out, out], 1) if out.shape[1] == 1 else out


class Whole(nn.Module):
    """Raw tensors -> preprocessing -> model -> answer."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.front = front(trained.encoder)
        self.model = with_open_lengths(deepcopy(trained.model))
        self.answer = Answer(trained.spec, trained.measure.loss)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.answer(self.model(self.front(*inputs)))


class CeilPool(nn.Module):
    """Max-pooling with `ceil_mode` and windows side by side, in operations that say nothing of the length.

    torch derives the length after its own from a comparison, and an export would hold only for lengths like the
    example's.
    """

    def __init__(self, size: int, axes: int) -> None:
        super().__init__()
        self.size, self.axes = size, axes

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(2, 2 + self.axes):
            windows = (x.shape[axis] + self.size - 1) // self.size
            shape = list(x.shape)
            shape[axis] = self.size - 1
            padded = torch.cat([x, x.new_full(shape, -torch.inf)], axis)
            x = padded.narrow(axis, 0, windows * self.size).unflatten(axis, (windows, self.size)).amax(axis + 1)
        return x


def with_open_lengths(model: nn.Module) -> nn.Module:
    """The model in float32 and the usual memory format, its ceiling pools replaced, in place."""
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for name, part in list(model.named_modules()):
        if not isinstance(part, nn.MaxPool1d | nn.MaxPool2d) or not part.ceil_mode:
            continue
        plain = part.stride == part.kernel_size and part.padding == 0 and part.dilation == 1
        if plain and isinstance(part.kernel_size, int):
            model.set_submodule(name, CeilPool(part.kernel_size, 1 if isinstance(part, nn.MaxPool1d) else 2))
    return model
