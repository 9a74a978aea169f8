"""What the lectures write out by hand, against torch: backpropagation, dropout, batch norm, the LSTM cell."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from dlkit.models.lego import lego
from dlkit.models.mlp import mlp
from dlkit.types import Spec

TWO = Spec("tabular", (3,), 2, "regression")


def two_layers() -> nn.Module:
    return mlp(TWO, 2, hidden=(4,), activation="sigmoid").double()


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """`L = Σ (σ − y)²/2` of a net whose outputs go through a sigmoid."""
    return (model(x).sigmoid() - y).square().sum() / 2


def test_the_gradients_of_a_two_layer_net_are_those_of_backpropagation_by_hand() -> None:
    model, x, y = two_layers(), torch.randn(5, 3).double(), torch.rand(5, 2).double()
    w1, b1, w2, b2 = model.parameters()
    hidden = (x @ w1.T + b1).sigmoid()  # forward
    out = (hidden @ w2.T + b2).sigmoid()
    delta_out = (out - y) * out * (1 - out)  # ∂L/∂σ = σ − y, then σ' = σ(1 − σ)
    delta_hidden = (delta_out @ w2) * hidden * (1 - hidden)
    by_hand = [delta_hidden.T @ x, delta_hidden.sum(0), delta_out.T @ hidden, delta_out.sum(0)]
    loss_of(model, x, y).backward()
    for parameter, gradient in zip((w1, b1, w2, b2), by_hand, strict=True):
        torch.testing.assert_close(parameter.grad, gradient.detach())


def test_the_gradients_of_a_two_layer_net_are_its_finite_differences() -> None:
    model, x, y, h = two_layers(), torch.randn(5, 3).double(), torch.rand(5, 2).double(), 1e-6
    loss_of(model, x, y).backward()
    for parameter in model.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad
        assert gradient is not None
        for i in range(len(flat)):
            sides = []
            for shift in (h, -2 * h):
                flat[i] += shift
                sides.append(loss_of(model, x, y).item())
            flat[i] += h
            assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(gradient.view(-1)[i].item(), abs=1e-8)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_as_taught_and_as_torch_does_it_keep_the_expectation(p: float) -> None:
    """Over all masks of four units: as taught, a factor 1 − p in use; as in torch, 1/(1 − p) in training."""
    x = torch.tensor([1.0, -2.0, 0.5, 3.0])
    w = torch.tensor([0.3, 0.7, -1.1, 0.2])
    taught = torch_way = torch.zeros(())
    for kept in product((0.0, 1.0), repeat=4):
        mask = torch.tensor(kept)
        probability = ((1 - p) * mask + p * (1 - mask)).prod()
        taught = taught + probability * (w @ (mask * x))
        torch_way = torch_way + probability * (w @ (mask * x / (1 - p)))
    torch.testing.assert_close(taught, w @ ((1 - p) * x))
    torch.testing.assert_close(torch_way, w @ x)
    dropout = nn.Dropout(p)
    assert torch.equal(dropout.eval()(x), x)
    values = dropout.train()(x.expand(1000, 4)) / x  # of every unit
    assert {round(value, 5) for value in values.unique().tolist()} == {0.0, round(1 / (1 - p), 5)}


def test_batch_norm_is_its_formula_in_training_and_with_running_statistics_after_it() -> None:
    model = mlp(TWO, 1, hidden=(4,), activation="identity", batch_norm=True)
    assert isinstance(model, nn.Sequential)
    norm, x = model[2], torch.randn(16, 3)
    assert isinstance(norm, nn.BatchNorm1d)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias)
    v = x @ model[1].weight.T  # type: ignore[operator, union-attr]
    mu, variance = v.mean(0), v.var(0, correction=0)
    torch.testing.assert_close(model[:3](x), (v - mu) / (variance + norm.eps).sqrt() * norm.weight + norm.bias)
    mu, variance = 0.1 * mu, 0.9 + 0.1 * v.var(0)  # means of what was seen, from (0, 1) on
    model.eval()
    torch.testing.assert_close(model[:3](x), (v - mu) / (variance + norm.eps).sqrt() * norm.weight + norm.bias)


def cell(x: Tensor, h: Tensor, c: Tensor, core: nn.LSTM) -> tuple[Tensor, Tensor]:
    """One step of the LSTM as taught; torch stacks the gates in the order i, f, g, o and has two biases, which add."""
    w_x, w_h = core.weight_ih_l0, core.weight_hh_l0
    b = core.bias_ih_l0 + core.bias_hh_l0
    i, f, g, o = (x @ w_x.T + h @ w_h.T + b).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def states(x: Tensor, core: nn.LSTM) -> Tensor:
    h = c = torch.zeros(len(x), core.hidden_size)
    out = []
    for t in range(x.shape[1]):
        h, c = cell(x[:, t], h, c, core)
        out.append(h)
    return torch.stack(out, dim=1)


def core_of(model: nn.Module) -> nn.LSTM:
    return next(module for module in model.modules() if isinstance(module, nn.LSTM))


def test_an_lstm_is_the_lectures_equations_step_by_step() -> None:
    spec = Spec("image", (1, 5, 7), 3, "classification")
    layers = ["columns", {"lstm": {"units": 6, "sequence": True}}, {"lstm": 4}, {"linear": "out"}]
    model, x = lego(spec, 3, layers=layers), torch.randn(2, 1, 5, 7)
    assert isinstance(model, nn.Sequential)
    sequence = x[:, 0].transpose(1, 2)  # seven columns of five pixels
    torch.testing.assert_close(model[:2](x), states(sequence, core_of(model[1])))
    last = states(states(sequence, core_of(model[1])), core_of(model[2]))[:, -1]
    torch.testing.assert_close(model[:3](x), last)


def test_a_bidirectional_lstm_ends_at_both_ends() -> None:
    spec = Spec("image", (1, 5, 7), 3, "classification")
    model = lego(spec, 8, layers=["columns", {"lstm": {"units": 4, "bidirectional": True}}])
    x = torch.randn(2, 1, 5, 7)
    sequence = x[:, 0].transpose(1, 2)
    onward, back = (module for module in model.modules() if isinstance(module, nn.LSTM))
    forward = states(sequence, onward)[:, -1]
    backward = states(sequence.flip(1), back)[:, -1]
    torch.testing.assert_close(model(x), torch.cat([forward, backward], dim=1))
