"""Test-time augmentation against loops by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dlkit.models.views import Views


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 5, 4)).eval()


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """Each pixel from where it was before the move; beyond the border from its mirror image, the border not doubled."""

    def source(place: int, size: int) -> int:
        place = abs(place)
        return place if place < size else 2 * (size - 1) - place

    height, width = x.shape[2:]
    out = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, source(i - down, height), source(j - right, width)]
    return out


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_output_is_the_mean_over_the_image_the_moved_ones_and_their_mirror_images(mirror: bool, shift: int) -> None:
    model, x = net(), torch.randn(3, 2, 6, 7)
    s = shift
    images = [moved(x, *move) for move in [(0, 0), *([(0, -s), (0, s), (-s, 0), (s, 0)] if s else [])]]
    images += [image.flip(3) for image in images] if mirror else []
    expected = sum(model(image) for image in images) / len(images)
    torch.testing.assert_close(Views(model, mirror=mirror, shift=shift)(x), expected)


def test_the_first_view_is_the_image_itself() -> None:
    x = torch.randn(1, 2, 6, 7)
    assert torch.equal(next(Views(net(), mirror=True, shift=2).views(x)), x)


def test_an_image_and_its_mirror_image_get_the_same_answer() -> None:
    model, x = Views(net(), mirror=True), torch.randn(3, 2, 6, 7)
    torch.testing.assert_close(model(x), model(x.flip(3)))


def test_the_mean_of_logits_is_the_normalised_geometric_mean_of_the_probabilities() -> None:
    model, x = net(), torch.randn(3, 2, 6, 7)
    product = model(x).softmax(1) * model(x.flip(3)).softmax(1)
    geometric = product.sqrt() / product.sqrt().sum(1, keepdim=True)
    torch.testing.assert_close(Views(model, mirror=True)(x).softmax(1), geometric)


def test_its_state_dict_is_that_of_the_model_within() -> None:
    model, other = net(), net()
    views = Views(model, mirror=True)
    assert list(views.state_dict()) == list(model.state_dict())
    views.load_state_dict(other.state_dict())
    assert torch.equal(model[0].weight, other[0].weight)  # type: ignore[index]


def test_in_half_precision_the_mean_is_taken_in_float32() -> None:
    model, x = net().bfloat16(), torch.randn(3, 2, 6, 7, dtype=torch.bfloat16)
    expected = (model(x).float() + model(x.flip(3)).float()) / 2
    assert torch.equal(Views(model, mirror=True)(x), expected)
