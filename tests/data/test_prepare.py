import itertools

import pytest
import torch
from builders import OPTIONS, AsIs, images, numbered, resident, sequences

from dlkit.data import Examples, prepare
from dlkit.data.images.augment import Augment
from dlkit.data.prepare import load
from dlkit.data.scale import Scale
from dlkit.data.tables.columns import Columns


class Watching(AsIs):
    """Remembers what it was fitted on and promises more of the Spec."""

    def fit(self, raw):
        self.seen = raw

    def promises(self):
        return {"kind": "tokens", "vocab_size": 40}


def numeric(count=40):
    x = torch.arange(float(count)).unsqueeze(1)
    return Examples("tabular", "regression", {"train": (x, torch.cat([3 * x + 5, torch.full_like(x, 7.0)], 1))})


def test_the_encoder_is_fitted_on_the_training_split_alone():
    encoder = Watching()
    data = resident(numbered(40), encoder, val_fraction=0.25, test_fraction=0.2)
    own = torch.cat([batch.x for batch in data.eval("train")])
    assert torch.equal(encoder.seen, own) and len(own) == data.split_sizes["train"] == 24


def test_what_the_encoder_promises_stands_in_the_spec():
    spec = resident(numbered(40), Watching()).spec
    assert (spec.kind, spec.vocab_size, spec.input_shape) == ("tokens", 40, (1,))


def test_the_spec_of_sequences_tells_the_longest_and_the_sample_rate():
    spec = resident(sequences()).spec
    assert (spec.kind, spec.input_shape, spec.sample_rate, spec.num_outputs) == ("waveform", (64,), 8, 4)


@pytest.mark.parametrize(("examples", "encoder"), [(images(40), Scale), (numbered(40), Columns)])
def test_without_an_encoder_it_is_the_usual_one_of_the_kind(examples, encoder):
    data = load(examples, seed=0, device="cpu", **OPTIONS)
    assert type(data.encoder) is encoder
    x = torch.cat([batch.x for batch in data.eval("train")])
    assert abs(float(x.mean())) < 1e-5 and abs(float(x.std(correction=0)) - 1) < 1e-4


def test_numbers_as_targets_are_standardised_and_the_spec_says_how_to_turn_them_back():
    data = resident(numeric(), test_fraction=0.2)
    y = data.targets("train")
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.std(0, correction=0), torch.tensor([1.0, 0.0]))  # the second never varies
    for batch in [next(data.train(0)), *data.eval("test")]:
        back = batch.y * torch.tensor(data.spec.target_std) + torch.tensor(data.spec.target_mean)
        torch.testing.assert_close(back, torch.cat([3 * batch.x + 5, torch.full_like(batch.x, 7.0)], 1))
    assert data.targets("test").mean().abs() > 1e-6  # by the mean of the training split


def test_scale_target_false_leaves_numbers_as_they_are():
    data = resident(numeric(), scale_target=False)
    batch = next(data.train(0))
    assert torch.equal(batch.y[:, :1], 3 * batch.x + 5)
    assert data.spec.target_std == () and data.spec.num_outputs == 2


def test_the_balanced_sampler_makes_rare_classes_as_frequent_as_others():
    y = torch.cat([torch.zeros(390), torch.ones(10)]).long()
    x = torch.arange(400.0).unsqueeze(1)
    data = resident(Examples("tabular", "classification", {"train": (x, y)}), sampler="balanced", batch_size=40)
    share = torch.cat([batch.y for batch in itertools.islice(data.train(0), 100)]).float().mean()
    assert abs(float(share) - 0.5) < 0.04  # 4,000 draws: 0.5 ± 0.008
    assert data.spec.class_counts == (390, 10)
    again = itertools.islice(data.train(7), 3)
    before = itertools.islice(data.train(0), 7, 10)
    assert all(torch.equal(a.x, b.x) for a, b in zip(again, before, strict=True))


def test_the_balanced_sampler_draws_for_the_full_batch_too():
    y = torch.cat([torch.zeros(390), torch.ones(10)]).long()
    examples = Examples("tabular", "classification", {"train": (torch.zeros(400, 1), y)})
    batch = next(resident(examples, sampler="balanced", batch_size="full").train(0))
    assert len(batch.y) == 400 and 150 < int(batch.y.sum()) < 250


def test_the_balanced_sampler_needs_classes():
    with pytest.raises(ValueError, match=r"data.sampler=balanced needs classes, but this data has numbers as targets"):
        resident(numeric(), sampler="balanced")


def test_folds_reach_the_splits():
    tests = [resident(numbered(48), fold=fold, folds=3).targets("test") for fold in range(3)]
    assert [len(y) for y in tests] == [16] * 3


def test_notes_of_the_source_stay_with_the_data():
    x, y = numbered(40).splits["train"]
    examples = Examples("tabular", "classification", {"train": (x, y)}, notes=("left out 2: no label",))
    assert resident(examples).notes == ("left out 2: no label",)


def test_an_augmentation_that_does_not_suit_the_data_is_refused():
    with pytest.raises(ValueError, match=r"data.augment.flip=0.5"):
        resident(sequences(), augment=Augment(flip=0.5))


def test_overfitting_sequences_trains_on_the_same_few():
    data = resident(sequences(), overfit_batches=2)
    seen = torch.cat([batch.x[:, 0] for batch in itertools.islice(data.train(0), 6)])
    assert data.steps_per_epoch == 2 and len(seen.unique()) == 16


def test_images_that_would_take_too_much_as_floats_stay_bytes_and_give_the_same_batches(monkeypatch):
    def data():
        made = resident(images(40), Scale(), val_fraction=0.2, augment=Augment(flip=0.5))
        made.use_channels_last()
        return made

    usual = data()
    monkeypatch.setattr(prepare, "FLOATS", 0)
    small = data()
    assert small._splits["train"][0].dtype is torch.uint8 and usual._splits["train"][0].dtype is torch.float32
    assert small.spec == usual.spec and small.fingerprint() == usual.fingerprint()
    batches = [[*itertools.islice(one.train(0), 6), *one.eval("val")] for one in (usual, small)]
    for a, b in zip(*batches, strict=True):
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y) and a.x.stride() == b.x.stride()
