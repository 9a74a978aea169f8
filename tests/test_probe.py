"""What is seen of a model by layer, against numbers worked out otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_configs import config
from torch import Tensor, nn

from dlkit import probe
from dlkit.build import build
from dlkit.measure import Measure
from dlkit.state import State
from dlkit.types import Spec

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves")


def state_of(model: nn.Module) -> State:
    """A state with a model and what calls it, and nothing else."""
    optim = torch.optim.SGD(model.parameters(), lr=0.1)
    state = State(model, optim, Spec("tabular", (3,), 2, "classification"), Path(), 10, 5, 4)
    state.measure = Measure(None, {}, device=CPU)  # type: ignore[arg-type]
    return state


def see(model: nn.Module, x: Tensor) -> dict[str, probe.Activity]:
    return probe.activity(state_of(model), x)[0]


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    return layer


def test_norms_are_those_of_each_groups_numbers_in_one_vector() -> None:
    groups = [[torch.randn(3, 4), torch.randn(5)], [torch.randn(2)]]
    expected = [torch.cat([t.flatten() for t in group]).norm() for group in groups]
    torch.testing.assert_close(probe.norms(groups), torch.stack(expected))


def test_gradients_by_layer_are_autograds() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    loss = model(torch.randn(8, 3)).square().mean()
    first, second = model[0].parameters(), model[2].parameters()
    expected = [
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(ps), retain_graph=True)]).norm()
        for ps in (first, second)
    ]
    loss.backward()
    found = probe.gradients(model)
    assert list(found) == ["0.Linear", "2.Linear"]
    torch.testing.assert_close(probe.norms(found.values()), torch.stack(expected))


def test_frozen_layers_and_layers_without_gradient_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    model[1](torch.randn(2, 4)).sum().backward()
    assert list(probe.layers(model)) == ["1.Linear", "2.Linear"]
    assert list(probe.gradients(model)) == ["1.Linear"]


def test_dead_units_are_those_that_are_zero_for_every_example() -> None:
    # unit 0 lives for one example, unit 1 for none, unit 2 for all, unit 3 is exactly 0 for all
    model = nn.Sequential(linear([[1.0], [1.0], [1.0], [0.0]], [-2.5, -9.0, 9.0, 0.0]), nn.ReLU())
    found = see(model, torch.tensor([[1.0], [2.0], [3.0]]))
    assert found["1.ReLU"].dead == 0.5 and found["1.ReLU"].saturated is None


def test_a_filter_is_dead_only_where_it_is_zero_everywhere() -> None:
    conv = nn.Conv2d(1, 2, 1)
    conv.weight.data, conv.bias.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1), torch.zeros(2)
    x = torch.zeros(2, 1, 4, 4)
    x[1, 0, 3, 3] = 1.0
    assert see(nn.Sequential(conv, nn.ReLU()), x)["1.ReLU"].dead == 0.5


@pytest.mark.parametrize("steps", [3, 5, 7])
def test_units_of_sequences_are_found_on_either_axis(steps: int) -> None:
    """(B, T, F) after a linear layer, (B, C, T) after a convolution: of five units the first three are dead."""
    bias = torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0])
    dense, conv = nn.Linear(2, 5), nn.Conv1d(2, 5, 1)
    for layer in (dense, conv):
        layer.weight.data.zero_()
        layer.bias.data = bias
    assert see(nn.Sequential(dense, nn.ReLU()), torch.randn(4, steps, 2))["1.ReLU"].dead == pytest.approx(0.6)
    if steps != 5:  # a square (C, T) tells nothing
        assert see(nn.Sequential(conv, nn.ReLU()), torch.randn(4, 2, steps))["1.ReLU"].dead == pytest.approx(0.6)


@pytest.mark.parametrize("function", [nn.Sigmoid(), nn.Tanh(), nn.Softsign()], ids=lambda f: type(f).__name__)
def test_an_output_is_saturated_where_autograds_slope_is_below_a_twentieth_of_the_largest(function: nn.Module) -> None:
    x = torch.linspace(-8, 8, 1601).unsqueeze(1).requires_grad_()
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    model = nn.Sequential(linear([[1.0]], [0.0]), function)
    found = see(model, x.detach())[f"1.{type(function).__name__}"]
    assert found.saturated == pytest.approx((slope < 0.05 * slope.max()).float().mean().item(), abs=2e-3)
    assert found.dead is None


def test_mean_and_deviation_are_torchs() -> None:
    model = nn.Sequential(nn.Linear(3, 50), nn.Tanh(), nn.Linear(50, 2))
    x = 3 + torch.randn(64, 3)
    expected = torch.tanh(model[0](x))
    found = see(model, x)
    assert list(found) == ["1.Tanh"]
    assert found["1.Tanh"].mean == pytest.approx(expected.mean().item(), rel=1e-5)
    assert found["1.Tanh"].std == pytest.approx(expected.std(correction=0).item(), rel=1e-5)


def test_without_activation_modules_every_layer_is_seen_and_a_module_called_often_is_told_apart() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x).relu())

    assert list(see(Twice(), torch.randn(4, 3))) == ["layer.Linear", "layer.Linear:2"]


def test_a_recurrent_layers_outputs_are_seen() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.RNN(2, 3, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(x)[0][:, -1]

    net, x = Net(), 20 * torch.randn(4, 6, 2)
    found = see(net, x)["cell.RNN"]
    out = net.cell(x)[0]
    assert found.std == pytest.approx(out.std(correction=0).item(), rel=1e-5)
    assert found.saturated == pytest.approx((1 - out**2 < 0.05).float().mean().item())


def test_looking_leaves_modes_buffers_hooks_gradients_and_random_numbers_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
    model.train()
    model[1].eval()  # as a frozen norm is
    model(torch.randn(8, 3)).sum().backward()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    numbers = torch.get_rng_state()
    with probe.quiet(model):
        torch.rand(3)
        assert not torch.is_grad_enabled() and not model.training
    see(model, torch.randn(16, 3, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), numbers)
    assert [m.training for m in model] == [True, False, True, True] and model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True) if p.grad is not None)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_fails_keeps_no_hook() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(RuntimeError):
        see(model, torch.randn(2, 3))
    assert not any(module._forward_hooks for module in model.modules()) and model.training


@pytest.mark.parametrize(
    ("words", "count"),
    [
        pytest.param("data=digits", 256, id="images"),
        pytest.param("data=iris", 108, id="small"),
        pytest.param("data=cldr_names model=lstm_text", 128, id="texts"),
        pytest.param("data=vowels model=lstm_speech", 60, id="recordings", marks=pytest.mark.slow),
    ],
)
def test_examples_come_from_all_over_the_training_split_without_padding(words: str, count: int, tmp_path: Path) -> None:
    state = build(config(*words.split(), "callbacks=minimal"), tmp_path).state
    x, y = probe.examples(state)
    assert len(x) == len(y) >= min(count, 60) and len(x) <= 256
    assert len(y.unique()) > min(2, state.spec.num_outputs - 1)
    assert not (x.isnan().any() if x.is_floating_point() else (x == 0).any())
    found, out = probe.activity(state, x)
    assert found and len(out) == len(x)


def test_examples_are_few_where_each_is_large(tmp_path: Path) -> None:
    state = build(config("data=digits", "callbacks=minimal"), tmp_path).state
    state.example = torch.empty(2, 1, 1024, 1024, 2)  # 8 MB each
    assert len(probe.examples(state).y) == 4
