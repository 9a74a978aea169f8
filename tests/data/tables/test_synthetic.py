import pytest
import torch

from dlkit.data.tables.synthetic import CURVES, SHAPES, synthetic


def make(name, examples=600, noise=0.0, sample_seed=0):
    return synthetic(name=name, examples=examples, noise=noise, sample_seed=sample_seed)


@pytest.mark.parametrize(("name", "classes"), [("blobs", 3), ("moons", 2), ("circles", 2), ("spirals", 3)])
def test_classes_are_balanced_points_in_the_plane(name, classes):
    examples = make(name)
    x, y = examples.splits["train"]
    assert x.shape == (600, 2) and torch.bincount(y).tolist() == [600 // classes] * classes
    assert len(examples.classes) == classes and x.abs().max() <= 2


@pytest.mark.parametrize("name", SHAPES)
def test_without_noise_classes_are_apart(name):
    x, y = make(name).splits["train"]
    between = torch.cdist(x, x)[y[:, None] != y]
    assert between.min() > 0.05


@pytest.mark.parametrize("name", CURVES)
def test_noise_is_the_deviation_of_the_heights(name):
    (x, clean), (same, noisy) = make(name, 5000).splits["train"], make(name, 5000, noise=0.2).splits["train"]
    assert clean.shape == (5000, 1) and torch.equal(x, same)
    assert abs((noisy - clean).std() - 0.2) < 0.01


def test_circles_have_radius_one_and_a_half():
    x, y = make("circles").splits["train"]
    torch.testing.assert_close(x.norm(dim=1), torch.where(y == 0, 1.0, 0.5))


def test_points_depend_on_their_own_seed():
    first, again, other = (make("moons", noise=0.1, sample_seed=seed).splits["train"][0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_fewer_points_than_classes_are_refused():
    with pytest.raises(ValueError, match=r"data.examples=2: blobs have 3 classes, expected at least 3"):
        make("blobs", examples=2)
