import math

import pytest
import torch
from scipy import ndimage

from dlkit.data.augment import Augment, crop, erase, flip, turn
from dlkit.rng import AUGMENT, stream
from dlkit.types import Spec


def smooth(count=3, channels=2, height=24, width=24):
    """Images without sharp edges, so that two ways to interpolate agree."""
    noise = torch.rand(count, channels, height, width, generator=torch.manual_seed(0))
    return torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), (0, 0, 2, 2)))


def test_flip_mirrors_the_chosen_images():
    x = smooth(2)
    out = flip(x, torch.tensor([True, False]))
    assert torch.equal(out[0], torch.flip(x[0], dims=[2])) and torch.equal(out[1], x[1])


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (-4, 4)])
def test_crop_moves_whole_pixels(down, right):
    x = smooth(1)
    out = crop(x, torch.tensor([down]), torch.tensor([right]), 4)
    inside = (..., slice(4, -4), slice(4, -4))
    assert torch.equal(out[inside], x.roll((down, right), dims=(2, 3))[inside])


def test_crop_fills_with_the_mirror_image():
    x = torch.arange(5.0).repeat(1, 1, 5, 1)
    assert crop(x, torch.tensor([0]), torch.tensor([2]), 2)[0, 0, 0].tolist() == [2, 1, 0, 1, 2]


@pytest.mark.parametrize("size", [(24, 24), (20, 32)])
@pytest.mark.parametrize("degrees", [-30.0, 10.0, 90.0])
def test_turn_equals_scipy_inside(size, degrees):
    x = smooth(1, 1, *size)
    zero = torch.zeros(1)
    out = turn(x, zero, zero, torch.tensor([math.radians(degrees)]))
    expected = torch.from_numpy(ndimage.rotate(x[0, 0].numpy(), degrees, reshape=False, order=1, mode="mirror"))
    middle = tuple(slice(side // 2 - 6, side // 2 + 6) for side in size)
    torch.testing.assert_close(out[0, 0][middle], expected[middle], atol=2e-3, rtol=0)


def test_turn_moves_by_fractions_of_the_size():
    x = smooth(1, 2, 20, 32)
    out = turn(x, torch.tensor([0.1]), torch.tensor([-0.25]), torch.zeros(1))  # 2 pixels down, 8 to the left
    torch.testing.assert_close(out[..., 2:, :-8], x[..., :-2, 8:], atol=1e-5, rtol=0)


def test_turn_moves_the_turned_image():
    x, angle, zero = smooth(1, 1, 20, 32), torch.tensor([0.3]), torch.zeros(1)
    still, moved = turn(x, zero, zero, angle), turn(x, torch.tensor([0.1]), torch.tensor([0.125]), angle)
    torch.testing.assert_close(moved[0, 0, 7:15, 12:22], still[0, 0, 5:13, 8:18], atol=1e-4, rtol=0)


def test_erase_replaces_one_rectangle_by_the_mean():
    x = smooth(2)
    out = erase(x, torch.tensor([3, 0]), torch.tensor([5, 20]), (6, 4))
    expected = x.clone()
    for image, top, left in ((0, 3, 5), (1, 0, 20)):
        for channel in range(2):
            expected[image, channel, top : top + 6, left : left + 4] = x[image, channel].mean()
    torch.testing.assert_close(out, expected)


def test_each_option_stays_within_its_range():
    x, generator = torch.arange(24.0).repeat(400, 1, 24, 1), torch.manual_seed(0)  # value = column
    moved = Augment(crop=2)(x, generator)[:, 0, 12, 12] - 12
    assert sorted(set(moved.tolist())) == [-2, -1, 0, 1, 2]
    shifted = Augment(shift=0.125)(x, generator)[:, 0, 12, 12] - 12
    assert 2.5 < shifted.abs().max() <= 3 + 1e-4 and abs(shifted.mean()) < 0.3
    flipped = (Augment(flip=0.25)(x, generator)[:, 0, 0, 0] == 23).float().mean()
    assert 0.15 < flipped < 0.35
    erased = (Augment(erase=0.5)(x, generator) == 11.5).sum((1, 2, 3))
    assert (erased == 144).all()


def test_an_erased_square_can_be_at_every_corner():
    out = Augment(erase=0.5)(torch.arange(16.0).view(1, 1, 4, 4).repeat(300, 1, 1, 1), torch.manual_seed(0)) == 7.5
    for row in (0, -1):
        for column in (0, -1):
            assert out[:, 0, row, column].any()


def test_all_options_at_zero_are_off_and_change_nothing():
    assert not Augment() and Augment(erase=0.1)
    x = smooth()
    assert torch.equal(Augment()(x, torch.manual_seed(0)), x)


def test_one_option_does_not_change_the_draws_of_another():
    x = smooth(8)
    both = Augment(flip=0.5, crop=3)(x, stream(AUGMENT, 0, 7))
    alone = Augment(crop=3)(Augment(flip=0.5)(x, stream(AUGMENT, 0, 7)), stream(AUGMENT, 0, 7))
    assert torch.equal(both, alone)


def test_augmenting_commutes_with_normalising():
    x = smooth(6)
    augment = Augment(flip=0.5, crop=3, shift=0.2, rotate=30.0, erase=0.4)
    shift, scale = torch.tensor([0.4, 0.6]).view(2, 1, 1), torch.tensor([0.1, 0.3]).view(2, 1, 1)
    before = augment((x - shift) / scale, stream(AUGMENT, 0, 1))
    after = (augment(x, stream(AUGMENT, 0, 1)) - shift) / scale
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-5)


def test_same_stream_same_images_other_step_other_images():
    x, augment = smooth(), Augment(flip=0.5, crop=3, shift=0.2, rotate=30.0, erase=0.4)
    first, again, other = (augment(x, stream(AUGMENT, 0, step)) for step in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_crop_as_large_as_the_image_is_refused():
    spec = Spec("image", (1, 8, 8), 10, "classification")
    Augment(crop=7).check(spec)
    with pytest.raises(ValueError, match=r"data.augment.crop=8: expected less than the image's side, 8 pixels"):
        Augment(crop=8).check(spec)
