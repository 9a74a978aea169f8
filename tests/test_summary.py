"""Layers, parameters and cost of a model."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console
from torch import nn

from dlkit.models.cnn import cnn
from dlkit.models.linear import logreg
from dlkit.models.mlp import mlp
from dlkit.summary import forward_flops, layer_table, layers, parameter_count, tensor_bytes
from dlkit.types import Spec


def test_layers_are_listed_in_the_order_of_use_with_their_shapes_and_parameters(tabular: Spec) -> None:
    rows, _ = layers(mlp(tabular, 3, hidden=(16,), batch_norm=True), torch.randn(2, 4))
    assert [(row.name, row.kind, row.output, row.parameters) for row in rows] == [
        ("0", "Flatten", (2, 4), 0),
        ("1", "Linear", (2, 16), 64),
        ("2", "BatchNorm1d", (2, 16), 32),
        ("3", "ReLU", (2, 16), 0),
        ("4", "Linear", (2, 3), 51),
    ]


def test_the_rows_add_up_to_the_parameters_of_the_model(image: Spec) -> None:
    model = cnn(image, 3, batch_norm=True)
    assert sum(row.parameters for row in layers(model, torch.randn(2, 1, 8, 8))[0]) == parameter_count(model)


class Attention(nn.Module):
    """A module that holds weights of its own beside those of a module within."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads(x, x, x)[0]


def test_weights_beside_an_inner_module_are_counted() -> None:
    model = Attention()
    assert sum(row.parameters for row in layers(model, torch.randn(3, 2, 8))[0]) == parameter_count(model)


def test_a_layer_used_twice_is_listed_twice_and_counted_once() -> None:
    shared = nn.Linear(4, 4)
    rows, _ = layers(nn.Sequential(shared, nn.ReLU(), shared), torch.randn(2, 4))
    assert [row.parameters for row in rows] == [20, 0, 0]


def test_a_recurrent_layer_has_the_shape_of_its_first_output() -> None:
    assert layers(nn.LSTM(4, 6, batch_first=True), torch.randn(2, 5, 4))[0][0].output == (2, 5, 6)


@pytest.mark.parametrize("training", [True, False])
def test_looking_changes_nothing_of_the_model(tabular: Spec, training: bool) -> None:
    model = mlp(tabular, 3, batch_norm=True).train(training)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    layers(model, torch.randn(2, 4))
    forward_flops(model, torch.randn(2, 4))
    assert model.training is training
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_fails_is_left_as_it_was(tabular: Spec) -> None:
    model = mlp(tabular, 3)
    with pytest.raises(RuntimeError, match="shapes"):
        layers(model, torch.randn(2, 5))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_the_cost_of_a_matrix_product_is_two_operations_a_weight_and_example(tabular: Spec) -> None:
    assert forward_flops(logreg(tabular, 3), torch.randn(5, 4)) == 2 * 4 * 3 * 5


def test_the_cost_of_a_convolution_is_two_operations_a_weight_and_place(image: Spec) -> None:
    model = cnn(image, 3, channels=(6,), kernel_size=5, hidden=())
    assert forward_flops(model, torch.randn(1, 1, 8, 8)) == 2 * 25 * 6 * 64 + 2 * 6 * 16 * 3


def test_the_table_leaves_the_batch_axis_out_and_ends_with_the_total(image: Spec) -> None:
    model = cnn(image, 3, channels=(6,), hidden=())
    console = Console(width=80)
    with console.capture() as captured:
        console.print(layer_table(layers(model, torch.randn(2, 1, 8, 8))[0], parameter_count(model)))
    lines = [line.split() for line in captured.get().splitlines()]
    assert lines[1] == ["0", "Conv2d", "6", "x", "8", "x", "8", "60"]
    assert lines[-1] == ["total", "351"]


def test_memory_is_counted_in_bytes_of_the_type() -> None:
    assert (
        tensor_bytes([torch.zeros(3, 4), torch.zeros(5, dtype=torch.int64), torch.zeros(2, dtype=torch.float16)]) == 92
    )
