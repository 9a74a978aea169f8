"""What a model looks like: its layers, shapes, parameters and cost."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import Tensor, nn


class Layer(NamedTuple):
    name: str
    kind: str
    output: tuple[int, ...]  # with the batch axis
    parameters: int


def layers(model: nn.Module, x: Any) -> tuple[list[Layer], Tensor]:
    """Runs `x` through the model once, in evaluation mode: its innermost modules as used, and its output."""
    rows: list[Layer] = []
    seen: set[nn.Module] = set()

    def watch(name: str, module: nn.Module) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = output if isinstance(output, Tensor) else next((t for t in output if isinstance(t, Tensor)), None)
            shape = () if tensor is None else tuple(tensor.shape)
            count = 0 if module in seen else sum(p.numel() for p in module.parameters())
            seen.add(module)
            rows.append(Layer(name, module.__class__.__name__, shape, count))

        return module.register_forward_hook(hook)

    hooks = [watch(name, module) for name, module in _units(model)]
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            out = model(x)
    finally:
        model.train(mode)
        for hook in hooks:
            hook.remove()
    return rows, out


def _units(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The innermost modules, and those that hold parameters beside modules within (attention) as a whole."""
    children = list(module.named_children())
    if not children or any(True for _ in module.parameters(recurse=False)):
        yield name, module
        return
    for child_name, child in children:
        yield from _units(child, f"{name}.{child_name}".lstrip("."))


def parameter_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def layer_table(rows: list[Layer], total: int) -> Table:
    """The layers as a table, the batch axis left out."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("layer", "kind"):
        table.add_column(column)
    for column in ("output", "parameters"):
        table.add_column(column, justify="right")
    for row in rows:
        shape = " x ".join(map(str, row.output[1:])) or "-"
        table.add_row(row.name or "-", row.kind, shape, f"{row.parameters:,}" if row.parameters else "")
    table.add_row("total", "", "", f"{total:,}", style="bold")
    return table


def forward_flops(model: nn.Module, x: Tensor) -> int:
    """Floating-point operations of one forward pass (a multiplication and an addition count as two)."""
    from torch.utils.flop_counter import FlopCounterMode  # 0.3 s: only for a dry run

    mode = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    model.train(mode)
    return counter.get_total_flops()


def tensor_bytes(tensors: Any) -> int:
    """Memory of the tensors in bytes."""
    return sum(prod(t.shape) * t.element_size() for t in tensors)
