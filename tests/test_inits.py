"""Initial weights: their moments over 1e5 samples, and what they do to a deep net."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Literal

import pytest
import torch
from test_configs import config
from torch import nn

from dlkit.build import build
from dlkit.inits import (
    constant,
    default,
    finish,
    gain_of,
    kaiming,
    lecun,
    lsuv,
    normal,
    orthogonal,
    uniform,
    xavier,
)
from dlkit.trainer import fit
from dlkit.types import Batch, Spec

BATCH = Batch(torch.zeros(1), torch.zeros(1))
Distribution = Literal["uniform", "normal"]
DISTRIBUTIONS: list[Distribution] = ["uniform", "normal"]


def layers() -> list[tuple[nn.Linear | nn.Conv2d, int, int]]:
    """Layers with more than 1e5 weights, their fan-in and fan-out."""
    return [(nn.Linear(300, 400), 300, 400), (nn.Conv2d(16, 64, 11), 16 * 121, 64 * 121)]


def assert_moments(weight: torch.Tensor, variance: float, distribution: Distribution) -> None:
    count = weight.numel()
    assert count >= 1e5
    assert abs(weight.mean().item()) < 5 * sqrt(variance / count)
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    beyond = weight.abs().max().item() / sqrt(3 * variance)  # a uniform distribution ends at √3 deviations
    assert 0.999 < beyond <= 1.000001 if distribution == "uniform" else beyond > 2


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_xavier_has_variance_two_over_both_fans(distribution: Distribution) -> None:
    for layer, fan_in, fan_out in layers():
        xavier(layer, BATCH, distribution=distribution)
        assert_moments(layer.weight, 2 / (fan_in + fan_out), distribution)


def test_gain_multiplies_the_deviation() -> None:
    layer, fan_in, fan_out = layers()[0]
    xavier(layer, BATCH, gain=3)
    assert_moments(layer.weight, 9 * 2 / (fan_in + fan_out), "uniform")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_kaiming_has_variance_two_over_the_fan_in(distribution: Distribution) -> None:
    for layer, fan_in, _ in layers():
        kaiming(layer, BATCH, distribution=distribution)
        assert_moments(layer.weight, 2 / fan_in, distribution)


def test_default_is_uniform_within_one_over_the_root_of_the_fan_in() -> None:
    for layer, fan_in, _ in layers():
        before = layer.weight.clone()
        default(layer, BATCH)
        assert torch.equal(layer.weight, before)
        assert_moments(layer.weight, 1 / (3 * fan_in), "uniform")


@pytest.mark.parametrize("init", [xavier, kaiming])
def test_biases_start_at_zero_and_norms_are_left_alone(init) -> None:  # type: ignore[no-untyped-def]
    norm = nn.BatchNorm2d(8)
    nn.init.constant_(norm.weight, 3.0)
    nn.init.constant_(norm.bias, 2.0)
    conv, linear = nn.Conv2d(1, 8, 3), nn.Linear(8, 2)
    init(nn.Sequential(conv, norm, nn.Conv2d(8, 8, 1, bias=False), nn.Flatten(), linear), BATCH)
    assert conv.bias is not None
    assert not conv.bias.any()
    assert not linear.bias.any()
    assert (norm.weight == 3).all()
    assert (norm.bias == 2).all()


def test_the_same_seed_gives_the_same_weights() -> None:
    def drawn(seed: int) -> torch.Tensor:
        layer = nn.Linear(20, 20)
        torch.manual_seed(seed)
        kaiming(layer, BATCH)
        return layer.weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def second_moment_after(depth: int, init, activation: type[nn.Module]) -> float:  # type: ignore[no-untyped-def]
    """Mean square of the last pre-activation of a deep square net, of that of its first."""
    stack = [nn.Sequential(nn.Linear(512, 512), activation()) for _ in range(depth)]
    for layer in stack:
        init(layer, BATCH)
    x = torch.randn(64, 512)
    first = stack[0][0](x).square().mean()
    for layer in stack[:-1]:
        x = layer(x)
    return (stack[-1][0](x).square().mean() / first).item()


def test_kaiming_keeps_the_second_moment_through_relu_layers_and_xavier_halves_it() -> None:
    assert 0.5 < second_moment_after(11, kaiming, nn.ReLU) < 2
    assert 0.5 < second_moment_after(11, xavier, nn.ReLU) * 2**10 < 2


def test_xavier_keeps_the_variance_through_linear_layers() -> None:
    assert 0.7 < second_moment_after(11, xavier, nn.Identity) < 1.4


# The other schemes


SCHEMES: dict[str, tuple[Callable[[nn.Module, Batch], None], Callable[[int], float], Distribution]] = {
    "normal": (normal, lambda n: 1.0, "normal"),
    "normal, narrow": (partial(normal, std=0.1), lambda n: 0.01, "normal"),
    "uniform": (partial(uniform, a=0.3), lambda n: 0.3**2 / 3, "uniform"),
    "lecun": (lecun, lambda n: 1 / n, "normal"),
    "lecun, uniform": (partial(lecun, distribution="uniform"), lambda n: 1 / n, "uniform"),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_has_its_mean_variance_and_shape(name: str) -> None:
    init, variance, distribution = SCHEMES[name]
    for layer, fan_in, _ in layers():
        init(layer, BATCH)
        assert_moments(layer.weight, variance(fan_in), distribution)


def test_constant_weights_are_all_the_same() -> None:
    for layer, _, _ in layers():
        constant(layer, BATCH, value=0.25)
        assert (layer.weight == 0.25).all()


def test_orthogonal_rows_or_columns_are_orthonormal_also_of_filters() -> None:
    for layer, _, _ in [(nn.Linear(30, 20), 0, 0), (nn.Linear(20, 30), 0, 0), (nn.Conv2d(4, 6, 3), 0, 0)]:
        orthogonal(layer, BATCH, gain=2)
        matrix = layer.weight.detach().flatten(1)
        matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
        torch.testing.assert_close(matrix @ matrix.T, 4 * torch.eye(len(matrix)), atol=1e-5, rtol=0)


def test_an_orthogonal_matrix_has_variance_one_over_its_larger_side() -> None:
    layer = nn.Linear(400, 300)
    orthogonal(layer, BATCH)
    assert layer.weight.var().item() == pytest.approx(1 / 400, rel=0.02)
    assert abs(layer.weight.mean().item()) < 5 * sqrt(1 / 400 / 120_000)


ALL = [constant, normal, uniform, lecun, xavier, kaiming, orthogonal]


@pytest.mark.parametrize("init", ALL)
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_filled_gate_by_gate_with_biases_zero(init, make) -> None:  # type: ignore[no-untyped-def]
    layer = make(12, 20, num_layers=2, bidirectional=True)
    init(layer, BATCH)
    for name, parameter in layer.named_parameters():
        assert not parameter.any() if name.startswith("bias") else parameter.any()
    if init is orthogonal:
        for gate in layer.weight_hh_l0.detach().split(20):
            torch.testing.assert_close(gate @ gate.T, torch.eye(20), atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_each_gate_has_the_variance_of_its_own_fans(make: type[nn.RNNBase]) -> None:
    layer = make(300, 400)
    xavier(layer, BATCH)
    for name, fan_in in (("weight_ih_l0", 300), ("weight_hh_l0", 400)):
        for gate in getattr(layer, name).detach().split(400):
            assert_moments(gate, 2 / (fan_in + 400), "uniform")


def test_an_embedding_counts_its_width_and_its_padding_stays_zero() -> None:
    layer = nn.Embedding(500, 300, padding_idx=3)
    lecun(layer, BATCH)
    assert not layer.weight[3].any()
    assert layer.weight.var().item() == pytest.approx(1 / 300, rel=0.02)


def test_the_forget_gates_bias_is_one_number_in_the_equations() -> None:
    layer, gru = nn.LSTM(3, 5, num_layers=2), nn.GRU(3, 5)
    kaiming(layer, BATCH), kaiming(gru, BATCH)
    finish(layer, forget_bias=1.0), finish(gru, forget_bias=1.0)
    for k in range(2):
        total = getattr(layer, f"bias_ih_l{k}") + getattr(layer, f"bias_hh_l{k}")
        assert total.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10
    assert not gru.bias_ih_l0.any()


def test_without_a_forget_bias_biases_stay_as_the_scheme_has_them() -> None:
    layer = nn.LSTM(3, 5)
    before = layer.bias_ih_l0.clone()
    finish(layer)
    assert torch.equal(layer.bias_ih_l0, before)


def test_the_forget_bias_reaches_the_model_from_the_command_line(tmp_path: Path) -> None:
    words = ["model=logreg", "model._target_=test_inits.recurrent", "init=orthogonal", "init.forget_bias=1"]
    model = build(config(*words), tmp_path).state.model
    assert model.lstm.bias_ih_l0.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12  # type: ignore[union-attr, operator]


def recurrent(spec: Spec, outputs: int) -> nn.Module:
    """Rows of the image as a sequence."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(spec.input_shape[-1], 6, batch_first=True), nn.Linear(6, outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x.squeeze(1))[0][:, -1])

    return Rows()


# Gains


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        (nn.Identity(), 1),
        (nn.ReLU(), sqrt(2)),
        (nn.LeakyReLU(0.1), sqrt(2 / 1.01)),
        (nn.Tanh(), 1.5926),  # E tanh² = 0.3943
        (nn.Sigmoid(), 1.8462),  # E σ² = 0.2934
        (nn.PReLU(64), sqrt(2 / (1 + 0.25**2))),
    ],
)
def test_a_gain_keeps_the_second_moment_through_the_activation(activation: nn.Module, gain: float) -> None:
    assert gain_of(activation, 64) == pytest.approx(gain, rel=0.01)


def test_the_gain_of_a_layer_is_that_of_the_activation_before_it_past_norms_and_pooling() -> None:
    model = nn.Sequential(
        *[nn.Conv2d(3, 100, 11), nn.BatchNorm2d(100), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()],
        *[nn.Linear(400, 300), nn.PReLU(300), nn.Dropout(0.5), nn.Linear(300, 400), nn.Linear(400, 300)],
    )
    kaiming(model, BATCH, gain="auto")
    for layer, gain in ((model[0], 1), (model[5], sqrt(2)), (model[8], sqrt(2 / (1 + 0.25**2))), (model[9], 1)):
        n = layer.weight[0].numel()  # type: ignore[union-attr, index, operator]
        assert layer.weight.std().item() == pytest.approx(gain / sqrt(n), rel=0.03)  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.Softplus])
def test_an_automatic_gain_keeps_the_scale_through_ten_layers_of_any_activation(activation: type[nn.Module]) -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Linear(512, 512), activation()) for _ in range(11)])
    kaiming(model, BATCH, gain="auto")
    model[-1][1] = nn.Identity()  # type: ignore[index, operator]
    assert 0.5 < model(torch.randn(64, 512)).square().mean().item() < 2


# LSUV


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
def test_lsuv_gives_every_layers_output_variance_one_on_its_batch(activation: type[nn.Module]) -> None:
    x = 5 * torch.randn(64, 3, 8, 8) + 2
    model = nn.Sequential(
        *[nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), activation(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(288, 50)],
        *[activation(), nn.Linear(50, 10)],
    )
    lsuv(model, Batch(x, torch.zeros(64)))
    stds: list[float] = []
    for layer in (model[0], model[5], model[7]):
        layer.register_forward_hook(lambda m, i, out: stds.append(out.std().item()))
    assert model.training
    model.eval()(x)
    assert stds == pytest.approx([1, 1, 1], rel=1e-3)


def test_lsuv_leaves_no_hooks_and_scales_a_layer_used_twice_once() -> None:
    shared = nn.Linear(20, 20)
    x = torch.randn(32, 20)
    lsuv(nn.Sequential(shared, nn.Tanh(), shared), Batch(x, torch.zeros(32)))
    assert shared(x).std().item() == pytest.approx(1, rel=0.01)
    assert not shared._forward_hooks


def test_lsuv_leaves_a_layer_fed_with_zeros_as_it_is() -> None:
    layer = nn.Linear(4, 4)
    lsuv(layer, Batch(torch.zeros(8, 4), torch.zeros(8)))
    assert layer.weight.isfinite().all()
    assert layer.weight.any()


# Constant init


def test_under_constant_init_all_units_of_a_layer_stay_one_and_only_the_last_layers_outputs_part(
    tmp_path: Path,
) -> None:
    run = build(config("init=constant", "model.hidden=[12,8]", "trainer.max_steps=30", "optim=momentum"), tmp_path)
    fit(run.state, run.engine, run.data, run.schedule, eval_every=99, log_every=99)
    first, second, last = (layer.weight for layer in run.state.model.modules() if isinstance(layer, nn.Linear))
    for hidden in (first, second):  # a row is what one unit has learnt
        torch.testing.assert_close(hidden, hidden[:1].expand_as(hidden), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(last, last[:, :1].expand_as(last), rtol=1e-4, atol=1e-6)  # fed by equal units
    assert len(last[:, 0].unique()) == 10  # but its own units, each with its class, differ


def test_in_the_first_step_from_a_constant_only_the_last_layer_learns(tmp_path: Path) -> None:
    run = build(config("init=constant", "model.hidden=[12,8]"), tmp_path)
    run.engine.backward(next(run.data.train(0)))
    norms = [layer.weight.grad.norm().item() for layer in run.state.model.modules() if isinstance(layer, nn.Linear)]  # type: ignore[union-attr]
    assert max(norms[:-1]) < 1e-6 * norms[-1]
