"""The network for CIFAR-10 in seconds, with its whitened first layer, against the recipe of its source."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit import optim
from dlkit.inits import whiten
from dlkit.models.airbench import airbench
from dlkit.models.mlp import mlp
from dlkit.optim.groups import groups
from dlkit.types import Batch, Spec

SPEC = Spec("image", (3, 32, 32), 10, "classification")


def pictures(count: int = 64, side: int = 16) -> Tensor:
    """Random images whose neighbouring pixels are alike."""
    noise = torch.randn(count, 3, side + 4, side + 4, generator=torch.manual_seed(0))
    return F.avg_pool2d(noise, 5, 1) * 5


def test_it_has_the_shapes_and_the_parameters_of_the_source() -> None:
    model = airbench(SPEC, 10)
    assert sum(p.numel() for p in model.parameters()) == 1_972_792
    shapes = [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert shapes[0] == (24, 3, 2, 2)
    assert [shape[:2] for shape in shapes[1:]] == [(64, 24), (64, 64), (256, 64), (256, 256), (256, 256), (256, 256)]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert {name.split(".")[-1] for name, p in model.named_parameters() if not p.requires_grad} == {"weight"}


def test_its_convolutions_begin_as_the_identity() -> None:
    conv = airbench(SPEC, 10).get_submodule("block1.0")
    x = torch.randn(1, 24, 9, 9)
    torch.testing.assert_close(conv(x)[:, :24], x)


def test_images_too_small_to_be_halved_so_often_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.channels=\[4, 4, 4\] halves the image 3 times, too often for 8x8"):
        airbench(Spec("image", (1, 8, 8), 3, "classification"), 3, channels=(4, 4, 4))


def test_whitened_patches_have_the_identity_as_their_second_moments() -> None:
    x, model = pictures(256), airbench(SPEC, 10)
    whiten(model, Batch(x, torch.zeros(256)))
    out = model.get_submodule("whiten")(x)
    rows = out.transpose(0, 1).flatten(1)
    moments = rows[:12] @ rows[:12].T / rows.shape[1]
    torch.testing.assert_close(moments, torch.eye(12), rtol=0.02, atol=0.02)
    torch.testing.assert_close(rows[12:], -rows[:12])


def test_fewer_filters_take_the_directions_of_largest_variance() -> None:
    x, layer = pictures(), nn.Conv2d(3, 4, 2)
    whiten(nn.Sequential(layer), Batch(x, torch.zeros(64)))
    patches = F.unfold(x, 2).transpose(0, 1).flatten(1)
    _, vectors = torch.linalg.eigh(patches @ patches.T / patches.shape[1])
    first, second = (F.normalize(row, dim=0) for row in layer.weight.detach()[:2].flatten(1))
    assert abs(first @ vectors[:, -1]) > 0.999
    assert abs(second @ vectors[:, -2]) > 0.999


def test_the_whitened_layer_is_frozen_but_for_its_biases_and_no_other_is_changed() -> None:
    torch.manual_seed(1)
    model = airbench(SPEC, 10)
    before = {name: p.clone() for name, p in model.named_parameters()}
    whiten(model, Batch(pictures(), torch.zeros(64)))
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"whiten.weight", "whiten.bias"}
    assert not model.get_submodule("whiten").weight.requires_grad
    assert model.get_submodule("whiten").bias.requires_grad


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Sequential(nn.Conv2d(3, 26, 2)), "has 26 filters of 12 numbers; expected an even count of at most 24"),
        (nn.Sequential(nn.Conv2d(3, 7, 2)), "has 7 filters of 12 numbers"),
        (mlp(Spec("tabular", (4,), 3, "classification"), 3), "no convolution of images"),
    ],
)
def test_what_cannot_be_whitened_is_refused(model: nn.Module, why: str) -> None:
    with pytest.raises(ValueError, match=f"^init=whiten: .*{why}"):
        whiten(model, Batch(pictures(), torch.zeros(64)))


def test_muon_takes_a_filter_as_a_row_where_it_is_told_to() -> None:
    g, row = torch.randn(6, 2, 3, 3), torch.randn(6, 2, 3, 3)
    conv, matrix = (torch.nn.Parameter(row.clone().view(shape)) for shape in ((6, 2, 3, 3), (6, 18)))
    for p in (conv, matrix):
        p.grad = g.clone().view(p.shape)
        optim.muon([p], lr=0.1, momentum=0.6, filters=True).step()
    assert torch.equal(conv.flatten(1), matrix)


def test_muon_gives_the_same_with_a_rate_that_is_a_tensor() -> None:
    ends = []
    for rate in (0.1, torch.tensor(0.1)):
        torch.manual_seed(3)
        p = torch.nn.Parameter(torch.randn(4, 8))
        optimiser = optim.muon([p], lr=0.1)
        optimiser.param_groups[0]["lr"] = rate
        p.grad = torch.randn(4, 8)
        optimiser.step()
        ends.append(p.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-7)


def test_muon_with_filters_learns_the_recipe_of_the_experiment_on_a_few_pictures() -> None:
    torch.manual_seed(0)
    x = pictures(32)
    y = (x.mean((1, 2, 3)) > x.mean()).long()
    model = airbench(SPEC, 2, channels=(8, 16))
    whiten(model, Batch(x, y))
    scales = {"*.bias": 0.05, "head": 0.05}
    optimiser = optim.muon(
        groups(model, False, lr_scale=scales), lr=0.24, momentum=0.6, weight_decay=0, filters=True,
        adjust_lr_fn="original", adamw_for=["head.*"],
    )  # fmt: skip
    for group in optimiser.param_groups:
        group["lr"] *= group["lr_scale"]
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
