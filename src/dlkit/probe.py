"""Looks into a model by layer: its parameters, and what its units give for some examples. For panels and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dlkit.models.sequence import unpadded
from dlkit.state import State
from dlkit.types import Batch

EXAMPLES = 256  # a unit that is active for 2 % of the examples is seen to be alive with a probability of 99.4 %
BYTES = 32 << 20  # of their inputs at most
FLAT = 0.05  # an output is saturated where the slope of its function is below this part of its largest
CALLS = 4  # of one module in a forward pass that are told apart; a cell called at each step would have hundreds


@dataclass(frozen=True)
class Activity:
    """What a layer gives for the examples, all units together."""

    mean: float
    std: float
    saturated: float | None  # share of the outputs of a sigmoid, tanh or softsign whose slope is flat
    dead: float | None  # share of the units of a ReLU that are 0 for every example (of a filter: everywhere)


def layers(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters that are trained, by the module that holds them: `1.Linear`, in the order of the modules."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, module in model.named_modules():
        if own := [p for p in module.parameters(recurse=False) if p.requires_grad]:
            found[label(name, module)] = own
    return found


def label(name: str, module: nn.Module) -> str:
    """How a layer is called: its place in the model, and its kind."""
    return f"{name}.{type(module).__name__}".lstrip(".")


def norms(groups: Iterable[Sequence[Tensor]]) -> Tensor:
    """The Euclidean norm of each group of tensors, as if they were one vector: (groups,), on their device."""
    return torch.stack([torch.nn.utils.get_total_norm(list(group)) for group in groups])


def gradients(model: nn.Module) -> dict[str, list[Tensor]]:
    """The gradients of each layer that has any."""
    found = {name: [p.grad for p in own if p.grad is not None] for name, own in layers(model).items()}
    return {name: grads for name, grads in found.items() if grads}


def examples(state: State, count: int = EXAMPLES) -> Batch:
    """Training examples from all over the split, `count` at most, as an evaluation would have them.

    Of sequences the longer half, all cut to one length: what stands in the padding would be counted as outputs.
    """
    data, example = state.data, state.example
    assert data is not None and example is not None, "only a run that was built has data"
    size = data.split_sizes["train"]
    count = max(1, min(count, size, BYTES // max(1, example[:1].nbytes)))
    batch = data.examples("train", torch.linspace(0, size - 1, count, dtype=torch.float64).long())
    return _without_padding(batch) if state.spec.kind in ("tokens", "waveform") else batch


@dataclass(frozen=True)
class Look:
    """What the layers give for some training examples at a step."""

    step: int
    examples: int  # the same ones at every step
    layers: dict[str, Activity]


def look(state: State) -> Look:
    """`activity` for `examples` with the weights of now, found once a step: panels and warnings ask for the same."""
    last = state.look
    if last is None or last.step != state.step:
        state.probed = state.probed or examples(state)
        state.look = Look(state.step, len(state.probed.y), activity(state, state.probed.x)[0])
    found: Look = state.look
    return found


@contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards modes and random numbers are as they were."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def activity(state: State, x: Tensor) -> tuple[dict[str, Activity], Tensor]:
    """What every activation function and recurrent layer gives for the examples x (N, …), and the model's outputs.

    Of a model that has neither as a module: every layer with parameters. One copy from the device.
    """
    assert state.measure is not None, "only a run that was built is measured"
    seen: dict[str, Tensor] = {}
    width = [0]  # of the last linear or convolutional layer
    hooks = []
    watched = _watched(state.model)
    for name, module in state.model.named_modules():
        if module is not state.model:  # whose own hooks are left out below
            hook = partial(_look, seen, label(name, module), width, module in watched)
            hooks.append(module.register_forward_hook(hook))
    try:
        with quiet(state.model):
            out = state.measure.forward(state.model.forward, x)  # type: ignore[arg-type]  # never the compiled one
    finally:
        for hook in hooks:
            hook.remove()
    rows = torch.stack(list(seen.values())).tolist() if seen else []
    return {name: _activity(row) for name, row in zip(seen, rows, strict=True)}, out


def _activity(row: list[float]) -> Activity:
    """NaN stands for what a layer has not."""
    mean, std, saturated, dead = row
    return Activity(mean, std, None if saturated != saturated else saturated, None if dead != dead else dead)


def _watched(model: nn.Module) -> set[nn.Module]:
    inner = [module for module in model.modules() if module is not model]
    acting = {module for module in inner if _acts(module)}
    return acting or {module for module in inner if any(True for _ in module.parameters(recurse=False))}


def _acts(module: nn.Module) -> bool:
    """Whether it is an activation function or a recurrent layer."""
    if isinstance(module, nn.MultiheadAttention | nn.Softmax | nn.LogSoftmax):
        return False
    home = type(module).__module__
    return home in ("torch.nn.modules.activation", "dlkit.models.activations") or isinstance(module, nn.RNNBase)


def _look(
    seen: dict[str, Tensor], name: str, width: list[int], watched: bool, module: nn.Module, inputs: Any, output: Any
) -> None:
    """A forward hook: keeps mean, deviation, saturated and dead share of the output, on the device."""
    width[0] = getattr(module, "out_channels", None) or getattr(module, "out_features", None) or width[0]
    out = output if isinstance(output, Tensor) else output[0]  # of a recurrent layer, its outputs
    if not watched or not isinstance(out, Tensor) or not out.is_floating_point():
        return
    number = 1 + sum(one == name or one.startswith(f"{name}:") for one in seen)
    if number > CALLS:
        return
    out = out.detach().float()
    mean = out.mean()
    std = (out - mean).norm() / out.numel() ** 0.5  # torch.std_mean takes 10 x as long on a CPU
    nothing = torch.full_like(mean, torch.nan)
    flat, dead = saturated(module, out), None
    if _rectifies(module):
        units = 2 if out.dim() == 3 and not (out.shape[1] == width[0] != out.shape[2]) else 1  # (B, T, F) or (B, C, T)
        others = [axis for axis in range(out.dim()) if axis != units]
        dead = (out.amax(others) <= 0).float().mean()
    row = [mean, std, nothing if flat is None else flat, nothing if dead is None else dead]
    seen[name if number == 1 else f"{name}:{number}"] = torch.stack(row)


def saturated(module: nn.Module, out: Tensor) -> Tensor | None:
    """The share of outputs where the function's slope is below `FLAT` of its largest; None where it has no such ends.

    The slope follows from the output y: of a sigmoid `y(1 − y)`, at most 1/4; of tanh `1 − y²`; of softsign
    `(1 − |y|)²`.
    """
    if isinstance(module, nn.Sigmoid):
        slope = 4 * out * (1 - out)
    elif isinstance(module, nn.Tanh) or (isinstance(module, nn.RNN) and module.nonlinearity == "tanh"):
        slope = 1 - out.square()
    elif isinstance(module, nn.Softsign):
        slope = (1 - out.abs()).square()
    else:
        return None
    return (slope < FLAT).float().mean()


def _rectifies(module: nn.Module) -> bool:
    return isinstance(module, nn.ReLU | nn.ReLU6) or (isinstance(module, nn.RNN) and module.nonlinearity == "relu")


def _without_padding(batch: Batch) -> Batch:
    lengths = unpadded(batch.x)[1]
    common = int(lengths.median().clamp(min=1))
    enough = lengths >= common
    return Batch(batch.x[enough, :common], batch.y[enough])
