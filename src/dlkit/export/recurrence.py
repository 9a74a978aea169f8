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
    """`nn.RNN` with tanh as ONNX's operator RNN: of the exporter's own translations only this one is missing."""
    from onnxscript import opset18

    op: Any = opset18  # its annotations do not know values of a graph

    if num_layers > 1 or bidirectional or not batch_first or not has_biases:
        raise NotImplementedError("an nn.RNN of several layers, of two directions, or without biases")
    first = op.Constant(value_ints=[0])
    weights, recurrent, *biases = params
    w, r = op.Unsqueeze(weights, first), op.Unsqueeze(recurrent, first)  # the axis of directions
    b = op.Unsqueeze(op.Concat(*biases, axis=0), first)
    hidden = int(recurrent.shape[0])
    steps, last = op.RNN(op.Transpose(x, perm=[1, 0, 2]), w, r, b, None, hx, hidden_size=hidden)
    return op.Transpose(op.Squeeze(steps, op.Constant(value_ints=[1])), perm=[1, 0, 2]), last
