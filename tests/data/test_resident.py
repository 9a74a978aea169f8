import itertools
import subprocess
import sys
import warnings

import pytest
import torch
from builders import images, numbered, resident, sequences

from dlkit.data.examples import Examples
from dlkit.data.images.augment import Augment
from dlkit.data.scale import Scale
from dlkit.models.sequence import unpadded
from dlkit.types import Batch


def take(data, step, count):
    return list(itertools.islice(data.train(step), count))


@pytest.mark.parametrize("augment", [None, Augment(flip=0.5, crop=2, rotate=10.0, erase=0.3)])
def test_batch_k_is_the_same_when_started_at_k(augment):
    data = resident(images(40), augment=augment)
    through = take(data, 0, 13)
    for k in (0, 3, 5, 12):  # five batches an epoch: within, at and past its end
        (alone,) = take(data, k, 1)
        assert torch.equal(alone.x, through[k].x) and torch.equal(alone.y, through[k].y)


def test_every_example_appears_once_an_epoch_in_an_order_of_its_own():
    data = resident(numbered(32))
    epochs = [torch.cat([batch.x for batch in take(data, 4 * epoch, 4)]).flatten() for epoch in range(3)]
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(32))
    assert not torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[1], epochs[2])


def test_targets_stay_with_their_examples():
    for x, y in take(resident(numbered(28, classes=3), batch_size=7, limit_batches=2), 0, 9):
        assert torch.equal(x.flatten().long() % 3, y)


def test_another_seed_gives_another_order_on_the_same_splits():
    a, b = (resident(numbered(40), seed=seed, test_fraction=0.2) for seed in (0, 1))
    assert not torch.equal(next(a.train(0)).x, next(b.train(0)).x)
    assert torch.equal(next(a.eval("test")).x, next(b.eval("test")).x)


def test_full_batch_is_the_whole_training_split_without_a_copy():
    data = resident(numbered(30), batch_size="full")
    first, second = take(data, 0, 2)
    assert data.batch_size == 30 and data.steps_per_epoch == 1
    assert first.x.data_ptr() == second.x.data_ptr() and len(first.y) == 30


def test_short_last_batch_is_dropped_and_warned_of_when_more_than_a_twentieth():
    with pytest.warns(UserWarning, match=r"data.batch_size=8 leaves 7 of the 39 training examples .*18%"):
        data = resident(numbered(39))
    assert data.steps_per_epoch == 4
    assert {len(batch.y) for batch in take(data, 0, 8)} == {8}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resident(numbered(8 * 20 + 1))


def test_batch_larger_than_the_training_split_is_refused():
    message = (
        r"data.batch_size=64 is larger than the training split \(32 examples\): at most 32, or data.batch_size=full"
    )
    with pytest.raises(ValueError, match=message):
        resident(numbered(40), batch_size=64, test_fraction=0.2)


def test_overfit_batches_trains_on_the_examples_of_the_first_batches_only():
    everything, few = resident(numbered(40)), resident(numbered(40), overfit_batches=2)
    first = {int(v) for batch in take(everything, 0, 2) for v in batch.x}
    assert few.steps_per_epoch == 2 and few.split_sizes["train"] == 16
    assert {int(v) for batch in take(few, 0, 10) for v in batch.x} == first


def test_more_overfit_batches_than_there_are_warn():
    with pytest.warns(UserWarning, match="trainer.overfit_batches=9 is more than the 5 batches"):
        assert resident(numbered(40), overfit_batches=9).steps_per_epoch == 5


def test_limit_batches_shortens_epochs_and_evaluations():
    data = resident(numbered(10_000), limit_batches=2, test_fraction=0.5)
    assert data.steps_per_epoch == 2
    assert sum(len(batch.y) for batch in data.eval("test")) == 4000 < data.split_sizes["test"]


def test_evaluation_gives_each_example_once_in_order():
    data = resident(numbered(5000), test_fraction=0.5)
    seen = torch.cat([batch.x for batch in data.eval("test")]).flatten()
    assert len(seen) == 2500 and seen.equal(seen.sort().values) and len(seen.unique()) == 2500


def test_evaluating_a_split_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"no val split: there are train \(data.val_fraction"):
        next(resident(numbered(40)).eval("val"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [None, Augment(flip=0.5, crop=2, shift=0.1, erase=0.3)])
def test_channels_last_batches_come_out_so_and_hold_the_same_numbers(channels, augment):
    options = {"augment": augment, "test_fraction": 0.2}
    plain = resident(images(40, channels), **options)
    last = resident(images(40, channels), **options)
    last.use_channels_last()
    a, b = next(plain.train(3)).x, next(last.train(3)).x
    torch.testing.assert_close(a, b)
    assert a.stride() == (channels * 64, 64, 8, 1) and b.stride() == (channels * 64, 1, channels * 8, channels)
    batch = next(last.eval("test"))
    assert batch.x.stride(1) == 1 and torch.equal(batch.x, next(plain.eval("test")).x)


def test_spec_describes_the_data():
    spec = resident(images(20, 3), test_fraction=0.2).spec
    assert (spec.kind, spec.input_shape, spec.num_outputs, spec.task) == ("image", (3, 8, 8), 2, "classification")
    assert spec.classes == ("0", "1") and spec.class_counts == (8, 8)


def test_images_are_encoded_as_float32_by_the_scale_of_the_training_split():
    examples = images(40)
    data = resident(examples, Scale(normalize="standardize"), test_fraction=0.5, batch_size="full")
    x, other = next(data.train(0)).x, next(data.eval("test")).x
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert other.mean((0, 2, 3)).abs().max() > 1e-3  # its own mean would be 0 too


def test_augmentation_leaves_evaluation_alone():
    examples = images(20)
    data = resident(examples, augment=Augment(flip=1.0), batch_size="full")
    raw = examples.splits["train"][0].float()
    assert torch.equal(next(data.eval("train")).x, raw)
    assert torch.equal(next(data.train(0)).x, raw.flip(3))


def test_an_augmentation_of_ones_own_may_change_tables():
    class Shift:
        def check(self, spec):
            assert spec.kind == "tabular"

        def __call__(self, batch, generator, epoch):
            return Batch(batch.x + torch.rand(batch.x.shape, generator=generator), batch.y)

    x = next(resident(numbered(32), augment=Shift()).train(0)).x
    assert x.shape == (8, 1) and (x != x.round()).any()


def test_augmentation_that_is_off_is_not_called():
    assert resident(numbered(40), augment=Augment()).augment is None


def test_augmenting_a_table_is_refused():
    with pytest.raises(ValueError, match=r"data.augment.flip=0.5: only images can be augmented, this data is tabular"):
        resident(numbered(40), augment=Augment(flip=0.5))


def test_fingerprint_changes_with_a_single_value_and_with_the_shape():
    examples = images()
    digest = resident(examples, Scale(normalize="minmax"), batch_size=4).fingerprint()
    assert digest == examples.fingerprint() == images().fingerprint()
    x, y = examples.splits["train"]
    assert Examples("image", "classification", {"train": (x.view(20, 3, 4, 16), y)}).fingerprint() != digest
    x[3, 1, 2, 2] ^= 1
    assert examples.fingerprint() != digest


def test_importing_the_package_does_not_import_torch():
    code = "import sys, dlkit.data as d; assert 'torch' not in sys.modules; d.Examples; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Example'"):
        import dlkit.data

        dlkit.data.Example  # noqa: B018


def numbers(x):
    """Which of the `sequences` are in a batch, each told by its first step."""
    return x[:, 0].long()


def test_a_batch_of_sequences_is_padded_with_nan_to_its_own_longest():
    data = resident(sequences())
    for x, y in take(data, 0, 5):
        zeros, lengths = unpadded(x)
        assert x.shape[1] == lengths.max() and torch.equal(numbers(x) % 4, y)
        assert torch.equal(lengths, data.lengths("train")[numbers(x)])
        assert torch.equal(zeros.sum(1), numbers(x) * lengths)


def test_every_sequence_comes_once_an_epoch_in_batches_of_equal_count():
    data = resident(sequences(200))
    for epoch in range(2):
        batches = take(data, 25 * epoch, 25)
        assert {len(y) for _, y in batches} == {8}
        assert torch.cat([numbers(x) for x, _ in batches]).sort().values.tolist() == list(range(200))


def test_batches_of_sequences_are_the_same_when_started_in_the_middle_of_an_epoch():
    data = resident(sequences(200))
    through = take(data, 0, 60)
    for k in (1, 13, 25, 49):
        for alone, before in zip(take(resident(sequences(200)), k, 2), through[k : k + 2], strict=True):
            assert torch.equal(alone.x.nan_to_num(-1), before.x.nan_to_num(-1)) and torch.equal(alone.y, before.y)


def test_the_batches_of_an_epoch_do_not_come_by_length():
    longest = torch.tensor([x.shape[1] for x, _ in take(resident(sequences(1000)), 0, 125)], dtype=torch.float)
    position = torch.arange(125.0)
    assert torch.corrcoef(torch.stack([longest, position]))[0, 1].abs() < 0.25


@pytest.mark.parametrize("limit", [0, 2])
def test_evaluation_gives_each_sequence_once_with_its_target(limit, monkeypatch):
    monkeypatch.setattr("dlkit.data.batches.EVAL_BYTES_CPU", 64 * 4 * 20)  # about 20 sequences a batch
    batches = list(resident(sequences(), limit_batches=limit).eval("train"))
    seen = torch.cat([numbers(x) for x, _ in batches])
    assert torch.equal(seen % 4, torch.cat([y for _, y in batches]))
    assert len(seen.unique()) == len(seen) and (len(seen) == 200 if not limit else len(batches) == 2)
    assert all(x.numel() <= 64 * 20 for x, _ in batches)


def test_evaluating_sequences_pads_little():
    batches = list(resident(sequences(2000)).eval("train"))
    padded, real = (sum(f(x) for x, _ in batches) for f in (torch.numel, lambda x: int((~x.isnan()).sum())))
    assert padded / real < 1.5  # two batches of a thousand, from 64 to 37 steps and from there to 8


def test_precompute_replaces_every_split_by_what_the_function_makes_of_it():
    data, plain = (resident(images(40), test_fraction=0.2) for _ in range(2))
    data.precompute(lambda x: x.mean((2, 3)))
    assert torch.equal(next(data.train(0)).x, next(plain.train(0)).x.mean((2, 3)))
    assert torch.equal(next(data.eval("test")).x, next(plain.eval("test")).x.mean((2, 3)))


def test_precomputed_sequences_stay_as_long_as_the_function_makes_them():
    def frames(x):  # sums of two steps each, as three features; a frame with padding in it is padding
        return x[:, : x.shape[1] // 2 * 2].unflatten(1, (-1, 2)).sum(2, keepdim=True).expand(-1, -1, 3)

    data, plain = resident(sequences()), resident(sequences())
    data.precompute(frames)
    for (x, y), (before, _) in zip(take(data, 0, 30), take(plain, 0, 30), strict=True):
        assert x.shape[2] == 3 and torch.equal(numbers(x[..., 0]) // 2 % 4, y)
        assert torch.equal(x.nan_to_num(-1), frames(before)[:, : x.shape[1]].nan_to_num(-1))
        assert x.shape[1] == int(data.lengths("train")[numbers(before)].max()) // 2
    assert torch.equal(data.lengths("train"), plain.lengths("train"))  # of what came from the encoder


def test_data_tells_targets_and_lengths_of_its_splits():
    data = resident(sequences(), test_fraction=0.2)
    assert {name: len(data.targets(name)) for name in data.split_sizes} == {"train": 160, "test": 40}
    assert torch.bincount(data.targets("train")).tolist() == [40] * 4
    assert int(data.lengths("train").sum() + data.lengths("test").sum()) == len(sequences().splits["train"][0].values)
    assert resident(images(40)).lengths("train") is None


def shares(make, of):
    """The data, and that of each of so many processes."""
    parts = [make() for _ in range(of)]
    for number, part in enumerate(parts):
        part.share(number, of)
    return make(), parts


@pytest.mark.parametrize("size", [10, "full"])
@pytest.mark.parametrize("augment", [None, {"flip": 0.5, "crop": 2, "mixup": 0.3}])
def test_the_parts_of_a_batch_are_the_batch_with_the_same_changes(augment, size):
    change = Augment(**augment) if augment else None
    whole, parts = shares(lambda: resident(images(20), Scale(), augment=change, batch_size=size), 3)
    for batch, *own in zip(take(whole, 1, 4), *(take(part, 1, 4) for part in parts), strict=True):
        assert max(len(one.y) for one in own) - min(len(one.y) for one in own) <= 1
        assert torch.equal(torch.cat([one.x for one in own]), batch.x)
        assert torch.equal(torch.cat([one.y for one in own]), batch.y)


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("make", [sequences, numbered])
def test_the_parts_of_an_evaluation_are_its_examples(make, limit):
    def few():
        return resident(make(300), test_fraction=0.9, limit_batches=limit, batch_size=30)

    whole, parts = shares(few, 4)
    seen = [[y for batch in data.eval("test") for y in batch.x[:, 0].tolist()] for data in (whole, *parts)]
    assert sorted(x for part in seen[1:] for x in part) == sorted(seen[0])
    assert max(map(len, seen[1:])) - min(map(len, seen[1:])) <= 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_sequences_on_the_gpu_are_those_of_the_cpu():
    cpu, gpu = (resident(sequences(), device=d) for d in ("cpu", "cuda"))
    for a, b in zip(take(cpu, 0, 30), take(gpu, 0, 30), strict=True):
        assert b.x.is_cuda and torch.equal(a.x.nan_to_num(-1), b.x.cpu().nan_to_num(-1))
        assert torch.equal(a.y, b.y.cpu())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_the_gpu_are_those_of_the_cpu():
    augment = Augment(flip=0.5, crop=2, shift=0.1, rotate=10.0, erase=0.3)
    for last in (False, True):
        cpu, gpu = (resident(images(40), Scale(), device=d, augment=augment) for d in ("cpu", "cuda"))
        for data in (cpu, gpu) if last else ():
            data.use_channels_last()
        for a, b in zip(take(cpu, 3, 4), take(gpu, 3, 4), strict=True):
            assert b.x.is_cuda and b.x.stride() == a.x.stride() and torch.equal(a.y, b.y.cpu())
            torch.testing.assert_close(a.x, b.x.cpu(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kept_as_bytes", [False, True])
def test_examples_are_those_that_an_evaluation_gives_in_these_rows(kept_as_bytes, monkeypatch):
    if kept_as_bytes:
        monkeypatch.setattr("dlkit.data.prepare.FLOATS", 0)
    data = resident(images(40), Scale(), val_fraction=0.5, batch_size=4)
    data.use_channels_last()
    whole = Batch(*(torch.cat(parts) for parts in zip(*data.eval("val"), strict=True)))
    rows = torch.tensor([3, 0, 17])
    places = (data.order("val")[None] == rows[:, None]).int().argmax(1)
    some = data.examples("val", rows)
    assert torch.equal(some.x, whole.x[places]) and torch.equal(some.y, whole.y[places]) and some.x.stride(1) == 1
    assert torch.equal(data.encoder.encode(data.raw("val", rows)), some.x)
    assert data.raw("train", rows) is None


def test_examples_of_sequences_are_padded_to_the_longest_of_them_before_and_after_precompute():
    data = resident(sequences(200), val_fraction=0.3)
    rows = data.order("val")[[5, 40, 2]]
    raw = data.raw("val", rows)
    assert data.order("val").tolist() == data.lengths("val").argsort(descending=True, stable=True).tolist()
    given = {float(one[0]): one for batch in data.eval("val") for one in batch.x}
    x, y = data.examples("val", rows)
    assert x.shape[1] == max(raw.lengths)
    for one, label, waves in zip(x, y, raw.values.split(raw.lengths.tolist()), strict=True):
        assert torch.equal(one[~one.isnan()], waves) and int(label) == int(one[0]) % 4
        whole = given[float(one[0])]
        assert torch.equal(whole[~whole.isnan()], waves)
    data.precompute(lambda wave: wave[:, ::2, None].expand(-1, -1, 3))
    frames, same_y = data.examples("val", rows)
    assert torch.equal(same_y, y) and torch.equal(frames[0, :, 0].nan_to_num(), x[0, ::2].nan_to_num())
    assert torch.equal(data.raw("val", rows).values, raw.values)


@pytest.mark.parametrize("examples", [images(30), sequences(30), sequences(2)])
def test_the_order_of_a_process_is_that_of_its_part(examples):
    data = resident(examples, val_fraction=0.5, batch_size=1)
    parts = []
    for number in range(3):
        data.share(number, 3)
        rows = data.order("val")
        ys = torch.cat([batch.y for batch in data.eval("val")])
        assert torch.equal(ys, data.targets("val")[rows])
        parts.append(rows)
    if len(data.targets("val")) > 2:
        assert torch.cat(parts).sort().values.tolist() == list(range(data.split_sizes["val"]))
