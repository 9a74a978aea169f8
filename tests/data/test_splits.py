import pytest
import torch
from builders import images, numbered

from dlkit.data import Examples
from dlkit.data.splits import apportion, divide
from dlkit.data.vision import digits


def numbers(split):
    return set(split[0].flatten().int().tolist())


def test_splits_are_disjoint_and_together_everything():
    splits = divide(numbered(1000), val_fraction=0.1, test_fraction=0.2, seed=0)
    assert {name: len(y) for name, (_, y) in splits.items()} == {"train": 720, "test": 200, "val": 80}
    assert set.union(*map(numbers, splits.values())) == set(range(1000))
    assert sum(len(numbers(split)) for split in splits.values()) == 1000


def test_splits_are_the_same_for_the_same_seed_and_others_for_another():
    first, again, other = (divide(numbered(200), val_fraction=0.1, test_fraction=0.2, seed=seed) for seed in (3, 3, 4))
    for name in first:
        assert torch.equal(first[name][0], again[name][0])
        assert not torch.equal(first[name][0], other[name][0])


def test_every_class_has_its_share_of_every_split():
    splits = divide(digits(), val_fraction=0.1, test_fraction=0.2, seed=0)
    counts = torch.bincount(digits().splits["train"][1])
    assert ((torch.bincount(splits["test"][1]) - 0.2 * counts).abs() < 1).all()
    assert ((torch.bincount(splits["val"][1]) - 0.1 * 0.8 * counts).abs() < 1).all()


def test_apportion_equals_a_count_by_hand():
    # quotas 4.7, 3.1, 2.2: 4 + 3 + 2, and the tenth goes to the remainder 0.7
    assert apportion(torch.tensor([47, 31, 22]), 10).tolist() == [5, 3, 2]
    assert apportion(torch.tensor([5, 5, 5]), 4).tolist() == [2, 1, 1]
    assert apportion(torch.tensor([0, 7]), 3).tolist() == [0, 3]


def test_splits_that_the_set_has_are_kept():
    own = images(6).splits["train"]
    examples = Examples("image", "classification", {**images(20).splits, "test": own})
    splits = divide(examples, val_fraction=0.25, test_fraction=0.5, seed=0)
    assert splits["test"] is own
    assert len(splits["train"][1]) == 15 and len(splits["val"][1]) == 5


def test_regression_is_split_at_random():
    x = torch.arange(100.0).unsqueeze(1)
    splits = divide(Examples("tabular", "regression", {"train": (x, x)}), val_fraction=0.0, test_fraction=0.3, seed=0)
    assert set(splits) == {"train", "test"} and len(splits["test"][1]) == 30
    assert 30 < splits["test"][0].mean() < 70


@pytest.mark.parametrize(("fraction", "taken"), [(0.001, 0), (0.99, 20)])
def test_fractions_that_leave_a_split_empty_are_refused(fraction, taken):
    message = f"data.val_fraction={fraction} takes {taken} of 20 examples: expected from 1 to 19"
    with pytest.raises(ValueError, match=message):
        divide(numbered(20), val_fraction=fraction, test_fraction=0.0, seed=0)
