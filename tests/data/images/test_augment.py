import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from dlkit.data.images.augment import Augment, crop, erase, flip, turn
from dlkit.data.images.mix import box
from dlkit.rng import AUGMENT, stream
from dlkit.types import Batch, Spec


def smooth(count=3, channels=2, height=24, width=24):
    """Images without sharp edges, so that two ways to interpolate agree."""
    noise = torch.rand(count, channels, height, width, generator=torch.manual_seed(0))
    return torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), (0, 0, 2, 2)))


def augmented(augment, x, generator):
    """The images that come out."""
    return augment(Batch(x, torch.zeros(len(x), dtype=torch.long)), generator).x


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
    moved = augmented(Augment(crop=2), x, generator)[:, 0, 12, 12] - 12
    assert sorted(set(moved.tolist())) == [-2, -1, 0, 1, 2]
    shifted = augmented(Augment(shift=0.125), x, generator)[:, 0, 12, 12] - 12
    assert 2.5 < shifted.abs().max() <= 3 + 1e-4 and abs(shifted.mean()) < 0.3
    flipped = (augmented(Augment(flip=0.25), x, generator)[:, 0, 0, 0] == 23).float().mean()
    assert 0.15 < flipped < 0.35
    erased = (augmented(Augment(erase=0.5), x, generator) == 11.5).sum((1, 2, 3))
    assert (erased == 144).all()


def test_an_erased_square_can_be_at_every_corner():
    x = torch.arange(16.0).view(1, 1, 4, 4).repeat(300, 1, 1, 1)
    out = augmented(Augment(erase=0.5), x, torch.manual_seed(0)) == 7.5
    for row in (0, -1):
        for column in (0, -1):
            assert out[:, 0, row, column].any()


def test_all_options_at_zero_are_off_and_change_nothing():
    assert not Augment() and Augment(erase=0.1)
    x = smooth()
    assert torch.equal(augmented(Augment(), x, torch.manual_seed(0)), x)


def test_one_option_does_not_change_the_draws_of_another():
    x = smooth(8)
    both = augmented(Augment(flip=0.5, crop=3), x, stream(AUGMENT, 0, 7))
    flipped = augmented(Augment(flip=0.5), x, stream(AUGMENT, 0, 7))
    alone = augmented(Augment(crop=3), flipped, stream(AUGMENT, 0, 7))
    assert torch.equal(both, alone)


def test_augmenting_commutes_with_normalising():
    x = smooth(6)
    augment = Augment(flip=0.5, crop=3, shift=0.2, rotate=30.0, erase=0.4)
    shift, scale = torch.tensor([0.4, 0.6]).view(2, 1, 1), torch.tensor([0.1, 0.3]).view(2, 1, 1)
    before = augmented(augment, (x - shift) / scale, stream(AUGMENT, 0, 1))
    after = (augmented(augment, x, stream(AUGMENT, 0, 1)) - shift) / scale
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-5)


def test_same_stream_same_images_other_step_other_images():
    x, augment = smooth(), Augment(flip=0.5, crop=3, shift=0.2, rotate=30.0, erase=0.4)
    first, again, other = (augmented(augment, x, stream(AUGMENT, 0, step)) for step in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_crop_as_large_as_the_image_is_refused():
    spec = Spec("image", (1, 8, 8), 10, "classification")
    Augment(crop=7).check(spec)
    with pytest.raises(ValueError, match=r"data.augment.crop=8: expected less than the image's side, 8 pixels"):
        Augment(crop=8).check(spec)


# Mixup and CutMix


def mixing(classes=5, side=8, **options):
    augment = Augment(**options)
    augment.check(Spec("image", (1, side, side), classes, "classification"))
    return augment


def known(count=6, side=8):
    """Images of one value each: their number; the classes are 0, 1, 2 … too."""
    number = torch.arange(count)
    return Batch(number.float().view(-1, 1, 1, 1).expand(-1, 1, side, side), number % 5)


def values_of(shares, count=6):
    """The mean value of an image whose classes have these shares, where class and value are the same number."""
    return shares @ torch.arange(5.0)


def test_mixup_gives_images_and_classes_the_same_shares():
    for step in range(20):
        x, y = mixing(mixup=1.0)(known(5), stream(AUGMENT, 0, step))
        assert x.shape == (5, 1, 8, 8) and y.shape == (5, 5)
        torch.testing.assert_close(y.sum(1), torch.ones(5))
        torch.testing.assert_close(x.mean((1, 2, 3)), values_of(y))
        assert (x == x[:, :1, :1, :1]).all()  # every pixel alike


def test_cutmix_puts_a_rectangle_in_and_its_area_into_the_shares():
    areas = set()
    for step in range(40):
        x, y = mixing(cutmix=1.0)(known(5), stream(AUGMENT, 0, step))
        torch.testing.assert_close(x.mean((1, 2, 3)), values_of(y))
        for i, image in enumerate(x[:, 0]):
            others = image != i
            rows, columns = others.any(1), others.any(0)
            assert others.sum() == rows.sum() * columns.sum() and len(image.unique()) <= 2
            areas.add(int(others.sum()))
    assert len(areas) > 10 and max(areas) > 40


def test_the_rectangle_of_cutmix_has_the_share_of_each_side_where_it_lies_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        top, left, bottom, right = box(0.75, 20, 40, rng)  # half of each side
        assert 0 <= top <= bottom <= 20 and 0 <= left <= right <= 40
        assert bottom - top == 10 or top == 0 or bottom == 20
        assert right - left == 20 or left == 0 or right == 40


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_are_drawn_from_the_beta_distribution(alpha):
    from scipy.stats import beta, kstest

    augment, batch = mixing(mixup=alpha), Batch(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.tensor([0, 1]))
    drawn = [augment(batch, stream(AUGMENT, 0, step)) for step in range(800)]
    shares = [float(out.y[0, 0]) for out in drawn if out.y[0, 0] != 1]  # 1: its partner was itself
    assert len(shares) > 300
    assert kstest(shares, beta(alpha, alpha).cdf).pvalue > 0.001


def test_with_both_on_half_of_the_batches_are_cut():
    augment = mixing(mixup=1.0, cutmix=1.0)
    cut = [len(augment(known(5), stream(AUGMENT, 0, step)).x[0].unique()) == 2 for step in range(400)]
    whole = [mixing(cutmix=1.0)(known(5), stream(AUGMENT, 0, step)).x[0].unique().numel() == 2 for step in range(400)]
    assert 0.4 < sum(cut) / sum(whole) < 0.6


def test_mixing_is_decided_by_the_generator_and_leaves_the_batch_as_it_was():
    batch = known()
    before = batch.x.clone()
    for options in ({"mixup": 0.4}, {"cutmix": 0.4}, {"mixup": 0.4, "cutmix": 0.4, "flip": 0.5}):
        first, again, other = (mixing(**options)(batch, stream(AUGMENT, 0, step)) for step in (4, 4, 5))
        assert torch.equal(first.x, again.x) and torch.equal(first.y, again.y)
        assert not torch.equal(first.y, other.y) and torch.equal(batch.x, before)


def test_mixing_comes_after_what_changes_single_images_and_leaves_their_draws_alone():
    x, y = smooth(6), torch.arange(6) % 5
    flipped = augmented(Augment(flip=0.5), x, stream(AUGMENT, 0, 7))
    both = mixing(flip=0.5, mixup=1.0)(Batch(x, y), stream(AUGMENT, 0, 7))
    lam = both.y.max(1).values[0]
    assert 0 < lam < 1
    for image, shares, own in zip(both.x, both.y, flipped, strict=True):
        partners = [lam * own + (1 - lam) * other for other in flipped]
        partners += [(1 - lam) * own + lam * other for other in flipped]
        assert min(float((image - mixed).abs().max()) for mixed in partners) < 1e-5 and shares.sum() == pytest.approx(1)


def test_numbers_as_targets_are_mixed_as_they_are():
    batch = Batch(known().x, torch.arange(6.0).unsqueeze(1))
    x, y = mixing(mixup=1.0)(batch, stream(AUGMENT, 0, 1))
    torch.testing.assert_close(x.mean((1, 2, 3)), y[:, 0])


def test_alternating_flips_show_each_side_of_an_image_in_two_epochs_whatever_batch_it_is_in():
    x = torch.randint(0, 256, (200, 3, 8, 8), generator=torch.manual_seed(0)).float()
    alternating = Augment(flip="alternating")
    batch, shuffled = Batch(x, torch.zeros(200)), torch.randperm(200)
    first, second, third = (alternating(batch, stream(AUGMENT, 0, epoch), epoch).x for epoch in range(3))
    mirrored = (first != x).flatten(1).any(1)
    assert 70 < mirrored.sum() < 130
    assert torch.equal(first, flip(x, mirrored)) and torch.equal(second, flip(x, ~mirrored))
    assert torch.equal(third, first)
    assert torch.equal(alternating(Batch(x[shuffled], batch.y), stream(AUGMENT, 0, 9), 2).x, first[shuffled])


def test_alternating_flips_draw_nothing_that_other_changes_would_get():
    x = smooth()
    y = torch.zeros(len(x))
    plain = Augment(crop=4)(Batch(x, y), stream(AUGMENT, 0, 0), 0).x
    both = Augment(crop=4, flip="alternating")(Batch(x, y), stream(AUGMENT, 0, 0), 0).x
    same = (plain == both).flatten(1).all(1)
    mirrored = Augment(flip="alternating")(Batch(x, y), stream(AUGMENT, 0, 0), 0).x
    assert torch.equal(same, (mirrored == x).flatten(1).all(1))
