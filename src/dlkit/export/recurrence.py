"""Recurrent layers as one operation in an exported graph, for sequences of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._decomp import decomposition_table

Shapes = Callable[..., tuple[Tensor, ...]]


def _lstm_shapes(x: Tensor, hx: list[Tensor], *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    h, c = hx
    return _steps(x, h, *options), torch.empty_like(h), torch.empty_like(c)


def _rnn_shapes(x: Tensor, h: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    return _steps(x, h, *options), torch.empty_like(h)


def _steps(x: Tensor, h: Tensor, *options: Any) -> Tensor:
    """Of the shape of a layer's outputs at every step; batch_first or not, these are x's first two axes."""
    bidirectional = options[-2]
    return x.new_empty(x.shape[0], x.shape[1], h.shape[2] * (2 if bidirectional else 1))


RNN = torch.ops.aten.rnn_tanh.input
SHAPES: dict[Any, Shapes] = {
    torch.ops.aten.lstm.input: _lstm_shapes,
    torch.ops.aten.gru.input: _rnn_shapes,
    RNN: _rnn_shapes,
}


@contextmanager
def whole() -> Iterator[None]:
    """While it lasts, tracing leaves recurrent layers whole and asks only for their shapes.

    torch itself writes them out step by step, for the one length of the example. It offers no way to say otherwise, so
    the kernels that its tracer looks up are exchanged here, and put back.
    """
    kernels = {op: dict(op.py_kernels) for op in SHAPES}
    tables = {op: decomposition_table[op] for op in SHAPES}
    try:
        decomposition_table.update(SHAPES)
        for op, shapes in SHAPES.items():
            _exchange(op, {DispatchKey.CompositeImplicitAutograd: shapes, DispatchKey.Autograd: shapes})
        yield
    finally:
        decomposition_table.update(tables)
        for op in SHAPES:
            _exchange(op, kernels[op])


def _exchange(op: Any, kernels: dict[Any, Any]) -> None:
    op.py_kernels.clear()
    op.py_kernels.update(kernels)
    op._dispatch_cache.clear()


def onnx_rnn(
    x: Any,
    hx: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """`nn.RNN` with tanh as ONNX's operator RNN: of the exporter's own translations only this one is missing.

    ONNX has a layer's directions as an axis: (T, B, I) -> every step (T, D, B, H), the last state (D, B, H).
    """
    from onnxscript import opset18

    op: Any = opset18  # its annotations do not know values of a graph

    first = op.Constant(value_ints=[0])
    directions, each = 2 if bidirectional else 1, 4 if has_biases else 2  # each: parameters of a layer and direction
    direction = "bidirectional" if bidirectional else "forward"
    steps, states = op.Transpose(x, perm=[1, 0, 2]) if batch_first else x, []
    for layer in range(num_layers):
        of_layer = [params[(layer * directions + i) * each :][:each] for i in range(directions)]
        w, r = (op.Concat(*(op.Unsqueeze(one[i], first) for one in of_layer), axis=0) for i in (0, 1))
        b = None
        if has_biases:
            b = op.Concat(*(op.Unsqueeze(op.Concat(*one[2:], axis=0), first) for one in of_layer), axis=0)
        begin, end = (op.Constant(value_ints=[(layer + i) * directions]) for i in (0, 1))
        hidden, tanh = int(of_layer[0][1].shape[0]), ["Tanh"] * directions
        state = op.Slice(hx, begin, end, first)
        by_direction, last = op.RNN(
            steps, w, r, b, None, state, hidden_size=hidden, direction=direction, activations=tanh
        )
        together = op.Constant(value_ints=[0, 0, -1])
        steps = op.Reshape(op.Transpose(by_direction, perm=[0, 2, 1, 3]), together)  # (T, B, D·H)
        states.append(last)
    return op.Transpose(steps, perm=[1, 0, 2]) if batch_first else steps, op.Concat(*states, axis=0)
