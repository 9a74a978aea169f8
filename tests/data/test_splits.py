import hashlib

import pytest
import torch
from builders import images, numbered

from dlkit.data import Examples
from dlkit.data.images.known import digits
from dlkit.data.splits import apportion, divide, draw_groups, groups_told

DIGESTS = {"train": "76c70066b1997cd7", "val": "53f120f0f7609a8b", "test": "eec61cb1b87e44cd"}


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


def test_the_splits_of_digits_are_those_of_every_earlier_version():
    splits = divide(digits(), val_fraction=0.1, test_fraction=0.2, seed=0)
    digests = {name: hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16] for name, (x, _) in splits.items()}
    assert digests == DIGESTS


def folds_of(examples, folds, **options):
    options = {"val_fraction": 0.0, "test_fraction": 0.2, "seed": 0, **options}
    return [divide(examples, fold=fold, folds=folds, **options) for fold in range(folds)]


@pytest.mark.parametrize("folds", [2, 3, 10])
def test_folds_are_disjoint_equal_parts_that_together_are_everything(folds):
    parts = folds_of(numbered(101), folds)
    tests = [numbers(part["test"]) for part in parts]
    assert set.union(*tests) == set(range(101)) and sum(map(len, tests)) == 101
    assert max(map(len, tests)) - min(map(len, tests)) <= 1
    assert all(numbers(part["train"]) == set(range(101)) - test for part, test in zip(parts, tests, strict=True))


def test_every_fold_has_its_share_of_every_class():
    y = torch.cat([torch.zeros(70), torch.ones(23), torch.full((7,), 2.0)]).long()
    examples = Examples("tabular", "classification", {"train": (torch.arange(100.0).unsqueeze(1), y)})
    counts = torch.stack([torch.bincount(part["test"][1], minlength=3) for part in folds_of(examples, 10)])
    assert counts[:, 0].unique().tolist() == [7]
    assert counts[:, 1].unique().tolist() == [2, 3] and counts[:, 2].unique().tolist() == [0, 1]


def test_folds_of_numbers_are_drawn_at_random():
    x = torch.arange(100.0).unsqueeze(1)
    parts = folds_of(Examples("tabular", "regression", {"train": (x, x)}), 5)
    assert [len(part["test"][1]) for part in parts] == [20] * 5
    assert all(30 < part["test"][0].mean() < 70 for part in parts)


def test_folds_depend_on_the_seed_of_the_splits_alone():
    first, again = folds_of(numbered(60), 3), folds_of(numbered(60), 3, val_fraction=0.5)
    other = folds_of(numbered(60), 3, seed=1)
    assert [numbers(a["test"]) for a in first] == [numbers(a["test"]) for a in again]
    assert numbers(first[0]["test"]) != numbers(other[0]["test"])


def test_with_a_fold_for_testing_the_validation_split_is_cut_from_the_rest():
    for part in folds_of(numbered(200), 5, val_fraction=0.25):
        assert {name: len(y) for name, (_, y) in part.items()} == {"train": 120, "val": 40, "test": 40}
        assert sum(len(numbers(split)) for split in part.values()) == 200


def test_where_a_set_has_a_test_split_the_fold_is_for_validation():
    own = (torch.arange(900.0, 910).unsqueeze(1), torch.arange(10) % 4)
    examples = Examples("tabular", "classification", {**numbered(80).splits, "test": own})
    parts = folds_of(examples, 4, val_fraction=0.1)
    assert all(part["test"] is own for part in parts)
    assert set.union(*(numbers(part["val"]) for part in parts)) == set(range(80))
    assert {len(part["val"][1]) for part in parts} == {20}


GROUPS = torch.tensor([7, 3, 5, 3, 9]).repeat_interleave(torch.tensor([10, 20, 30, 15, 25]))  # 3 in two places


def grouped():
    x, y = numbered(100).splits["train"]
    return Examples("tabular", "classification", {"train": (x, y)}, groups=GROUPS)


def groups_of(split):
    return set(GROUPS[split[0].flatten().long()].tolist())


def test_with_as_many_folds_as_groups_each_leaves_one_group_out():
    parts = folds_of(grouped(), 4)
    assert [groups_of(part["test"]) for part in parts] == [{3}, {5}, {7}, {9}]
    assert [len(part["test"][1]) for part in parts] == [35, 30, 10, 25]


@pytest.mark.parametrize("folds", [2, 3, 4])
def test_no_group_is_in_two_splits_of_a_fold(folds):
    parts = folds_of(grouped(), folds, val_fraction=0.3)
    for part in parts:
        having = [groups_of(split) for split in part.values()]
        assert len(having) == 3 and sum(map(len, having)) == 4
        assert sum(len(y) for _, y in part.values()) == 100
    assert set.union(*(groups_of(part["test"]) for part in parts)) == {3, 5, 7, 9}


def test_folds_of_groups_are_as_equal_as_groups_allow():
    sizes = sorted(len(part["test"][1]) for part in folds_of(grouped(), 2))
    assert sizes == [45, 55]  # 35 + 10, 30 + 25


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits(seed):
    splits = divide(grouped(), val_fraction=0.25, test_fraction=0.25, seed=seed)
    having = {name: groups_of(split) for name, split in splits.items()}
    assert set(having) == {"train", "val", "test"}
    assert sum(map(len, having.values())) == 4 and sum(len(y) for _, y in splits.values()) == 100


def test_the_groups_of_each_split_are_counted():
    cut = {"val_fraction": 0.25, "test_fraction": 0.25, "seed": 0}
    counts = ", ".join(f"{name} {len(groups_of(split))}" for name, split in divide(grouped(), **cut).items())
    assert groups_told(grouped(), **cut) == (f"whole groups: {counts}",)
    assert groups_told(numbered(20), **cut) == ()


def test_whole_groups_come_as_close_to_the_fraction_as_their_order_allows():
    groups = torch.arange(100).repeat_interleave(10)
    taken = draw_groups(groups, 0.2, torch.manual_seed(0))
    assert int(taken.sum()) == 200
    uneven = torch.tensor([0] * 90 + [1] * 10)
    for fraction, sizes in ((0.1, {10}), (0.01, {10}), (0.4, {10}), (0.99, {10, 90})):  # not all, even where closer
        assert {int(draw_groups(uneven, fraction, torch.manual_seed(seed)).sum()) for seed in range(20)} == sizes


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        (numbered(20), {"fold": 3, "folds": 3}, r"data.fold=3: expected 0 to 2, with data.folds=3"),
        (numbered(20), {"fold": 0, "folds": 21}, r"data.folds=21 is more than the 20 training examples"),
        (grouped(), {"fold": 0, "folds": 10}, r"data.folds=10 is more than the 4 groups"),
        (
            Examples("tabular", "classification", dict.fromkeys(("train", "val", "test"), numbered(8).splits["train"])),
            {"fold": 0},
            "data.fold=0: this set has a test and a validation split of its own; leave fold out",
        ),
        (
            Examples("tabular", "classification", numbered(8).splits, groups=torch.zeros(8).long()),
            {"test_fraction": 0.25},
            r"data.test_fraction=0.25 takes 8 of 8 examples in 1 group\(s\), which stay whole: expected from 1 to 7",
        ),
    ],
)
def test_folds_and_groups_that_cannot_be_are_refused(examples, options, message):
    with pytest.raises(ValueError, match=message):
        divide(examples, **{"val_fraction": 0.0, "test_fraction": 0.0, "seed": 0, **options})
