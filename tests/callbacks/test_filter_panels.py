"""First layers and feature maps: which weights and which outputs are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from boards import Notes, evaluated
from torch import nn

from dlkit.callbacks.panels.filters import DEPTHS, FeatureMaps, Filters, first_filters, maps_by_depth
from dlkit.types import Spec

IMAGE = Spec("image", (3, 4, 5), 2, "classification", classes=("a", "b"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_first_filters_are_the_weights_of_the_first_convolution_or_of_dense_units_in_the_images_shape() -> None:
    conv, dense = nn.Conv2d(3, 7, 3), nn.Linear(60, 6)
    name, weights = first_filters(nn.Sequential(nn.ReLU(), conv, nn.Linear(9, 2)), IMAGE)  # type: ignore[misc]
    assert name == "1.Conv2d" and torch.equal(weights, conv.weight)
    name, weights = first_filters(nn.Sequential(nn.Flatten(), dense, nn.Linear(6, 2)), IMAGE)  # type: ignore[misc]
    assert torch.equal(weights.flatten(1), dense.weight) and weights.shape == (6, 3, 4, 5)
    x = torch.randn(1, 3, 4, 5)
    torch.testing.assert_close((weights * x).sum((1, 2, 3)) + dense.bias, dense(x.flatten()))


@pytest.mark.parametrize("model", [nn.Linear(3, 2), nn.Conv1d(1, 4, 79), nn.ReLU()])
def test_other_first_layers_have_no_picture(model: nn.Module) -> None:
    assert first_filters(model, IMAGE) is None


def test_maps_are_what_comes_out_behind_norm_and_activation_and_hooks_are_gone() -> None:
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3)
    norm, act = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
    model = nn.Sequential(first, norm, act, nn.MaxPool2d(2), second, nn.Flatten(), nn.LazyLinear(2))
    x = torch.randn(2, 3, 12, 8)
    model(x)
    model.eval()
    with torch.no_grad():
        found = maps_by_depth(model, x)
        behind = norm(first(x)).relu()
        torch.testing.assert_close(found["0"], behind[0])
        torch.testing.assert_close(found["4"], second(nn.functional.max_pool2d(behind, 2))[0])
    assert torch.equal(found["input"], x[0]) and list(found) == ["input", "0", "4"]
    assert not any(module._forward_hooks for module in model.modules())


def test_of_many_convolutions_some_at_even_depths_are_drawn() -> None:
    model = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(20)))
    with torch.no_grad():
        found = maps_by_depth(model, torch.randn(1, 1, 2, 2))
    assert list(found) == ["input", *(str(i) for i in range(0, 20, 3))] and len(found) <= DEPTHS + 1
    assert maps_by_depth(nn.Linear(2, 2), torch.randn(1, 2)) == {}


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        (("data=digits", "model=cnn"), {"within/filters", "within/feature_maps/0", "within/feature_maps/1"}),
        (("data=digits", "model=mlp"), {"within/filters"}),
        (("data=iris", "model=mlp"), set()),
    ],
)
def test_panels_draw_what_there_is_and_leave_the_model_as_it_was(options: tuple[str, ...], tags: set[str]) -> None:
    state = evaluated(*options).state
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    notes = Notes()
    for panel in (Filters(), FeatureMaps(count=2)):
        panel.draw(state, notes)
    assert set(notes.found) == tags and state.model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.model.state_dict().items())
