import itertools
import multiprocessing
import pickle
import shutil
import time

import numpy as np
import pytest
import torch
from builders import OPTIONS
from PIL import Image

from dlkit.data.images.augment import Augment
from dlkit.data.images.folder import image_folder
from dlkit.data.prepare import load
from dlkit.data.raw import Files, Ragged
from dlkit.data.reading.store import Store
from dlkit.data.reading.workers import Reader, read_batches, sample
from dlkit.data.resident import ResidentData
from dlkit.data.scale import Scale
from dlkit.data.streamed import StreamedData

AUGMENT = {"flip": 0.5, "crop": 2, "rotate": 10.0, "mixup": 0.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """41 images of 3 classes, of different sizes."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(41):
        path = root / "set" / "abc"[i % 3] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8 + i % 5, 9, 3), dtype=np.uint8)).save(path)
    return root


def make(folder, streams=True, workers=0, augment=None, keep=None, **options):
    """`keep`: a folder where decoded images are kept."""
    examples = image_folder(
        root=str(folder / "set"),
        size=8,
        memory_limit=1e-9 if streams else 1.0,
        workers=workers,
        cache=str(keep or folder / "cache"),
        cache_limit=1.0 if keep else 0.0,
    )
    options = {**OPTIONS, "test_fraction": 0.2, "seed": 0, "device": "cpu", **options}
    data = load(examples, encoder=Scale(), augment=Augment(**augment) if augment else None, **options)
    assert isinstance(data, StreamedData if streams else ResidentData)
    return data


def take(data, step, count):
    batches = data.train(step)
    return list(itertools.islice(batches, count))


def same(one, other, **tolerance):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a.x, b.x, **tolerance)
        torch.testing.assert_close(a.y, b.y, **tolerance)
    return True


@pytest.mark.parametrize("options", [{}, {"augment": AUGMENT}, {"sampler": "balanced"}, {"batch_size": "full"}])
def test_streamed_batches_are_those_of_data_in_memory(folder, options):
    streamed, resident = make(folder, **options), make(folder, streams=False, **options)
    assert streamed.spec == resident.spec and streamed.split_sizes == resident.split_sizes
    assert streamed.steps_per_epoch == resident.steps_per_epoch
    same(take(streamed, 0, 10), take(resident, 0, 10), atol=1e-6, rtol=1e-6)
    for split in ("train", "test"):
        ours, theirs = (
            [torch.cat(parts) for parts in zip(*data.eval(split), strict=True)] for data in (streamed, resident)
        )
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-6, rtol=1e-6)
        assert torch.equal(ours[1], theirs[1]) and torch.equal(streamed.targets(split), resident.targets(split))


def test_the_number_of_workers_changes_nothing(folder):
    none, two = (make(folder, workers=workers, augment=AUGMENT) for workers in (0, 2))
    same(take(none, 3, 7), take(two, 3, 7), atol=0, rtol=0)
    same(list(none.eval("test")), list(two.eval("test")), atol=0, rtol=0)


@pytest.mark.parametrize("augment", [None, AUGMENT])
def test_batch_k_is_the_same_when_started_at_k(folder, augment):
    data = make(folder, augment=augment)
    through = take(data, 0, 10)
    for k in (1, 3, 4, 9):  # four batches an epoch
        same(take(data, k, 1), through[k : k + 1], atol=0, rtol=0)


def test_channels_last_batches_come_out_so_and_hold_the_same_numbers(folder):
    plain, last = make(folder, augment=AUGMENT), make(folder, augment=AUGMENT)
    last.use_channels_last()
    (a,), (b,) = take(plain, 2, 1), take(last, 2, 1)
    torch.testing.assert_close(a.x, b.x)
    assert a.x.is_contiguous() and b.x.is_contiguous(memory_format=torch.channels_last)
    assert next(last.eval("test")).x.stride(1) == 1


def test_limit_batches_shortens_epochs_and_evaluations(folder):
    data = make(folder, limit_batches=2)
    assert data.steps_per_epoch == 2
    epochs = [torch.cat([batch.y for batch in take(data, 2 * epoch, 2)]) for epoch in range(2)]
    assert len(epochs[0]) == 16 and not torch.equal(*epochs)


def test_reading_leaves_the_global_random_numbers_alone(folder):
    data = make(folder, workers=1)
    before = torch.get_rng_state()
    take(data, 0, 3)
    list(data.eval("test"))
    assert torch.equal(torch.get_rng_state(), before)


def no_children():
    for _ in range(100):
        if not multiprocessing.active_children():
            return True
        time.sleep(0.05)
    return False


def test_a_look_at_the_first_batch_starts_no_processes(folder):
    batches = make(folder, workers=2).train(0)
    next(batches)
    assert not multiprocessing.active_children()
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert no_children()


def test_workers_end_with_an_error_in_the_loop(folder):
    def train(data):
        for k, _ in enumerate(data.train(0)):
            if k == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make(folder, workers=2))
    assert no_children()


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_damaged_behind_its_header_is_named_when_it_is_read(folder, tmp_path, workers, keeps):
    data = make(folder, workers=workers)
    x, _ = data._splits["train"]
    damaged = tmp_path / "cut.png"
    damaged.write_bytes(x.paths[0].read_bytes()[:100])
    store = Store(tmp_path / "k.rows", 7, (3, 8, 8), torch.uint8) if keeps else None
    files = Files([*x.paths[:6], damaged], x.read, workers, store)
    batches = read_batches(files, iter(torch.arange(7).split(2)))
    with pytest.raises(ValueError) as caught:
        list(batches)
    why = "of what is streamed, data.on_error=skip sees the headers only"
    assert str(caught.value) == f"{damaged}: the image is damaged or cut off; mend or remove the file ({why})"
    assert no_children()
    assert store is None or store.has(torch.arange(7)).tolist() == [True] * 6 + [False]


def test_what_a_worker_gets_can_be_sent_to_a_new_process(folder):
    x, _ = make(folder)._splits["train"]
    reader = pickle.loads(pickle.dumps(Reader(x.read)))
    assert torch.equal(reader[x.paths[:2]], torch.stack([x.read(path) for path in x.paths[:2]]))


def test_an_encoder_is_fitted_on_files_drawn_once_for_all_seeds(folder, monkeypatch):
    x, _ = make(folder)._splits["train"]
    everything = sample(x, 0)
    assert torch.equal(everything, torch.stack([x.read(path) for path in x.paths]))
    monkeypatch.setattr("dlkit.data.reading.workers.SAMPLE", 10)
    few, again, other = sample(x, 0), sample(x, 0), sample(x, 1)
    assert len(few) == 10 and torch.equal(few, again) and not torch.equal(few, other)
    a, b = make(folder), make(folder, seed=5)
    assert torch.equal(a.encoder.shift, b.encoder.shift)


def number_of_steps(path):
    return torch.full((int(path.stem),), float(path.stem))


@pytest.fixture
def few_seen(monkeypatch):
    """Encoders are fitted on three images, so that most are first read when they are trained on."""
    monkeypatch.setattr("dlkit.data.reading.workers.SAMPLE", 3)


def counted(data):
    """Of data read without workers: the files that are read from now on."""
    read, paths = data._splits["train"][0].read, []
    for x, _ in data._splits.values():
        x.read = lambda path: paths.append(path) or read(path)
    return paths


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("options", [{}, {"augment": AUGMENT}, {"sampler": "balanced"}, {"batch_size": "full"}])
def test_batches_that_are_kept_decoded_are_those_of_the_files_bit_for_bit(folder, tmp_path, options, workers, few_seen):
    plain = make(folder, **options)
    wanted, wanted_test = take(plain, 0, 15), list(plain.eval("test"))
    for _ in ("while they are written", "after"):
        kept = make(folder, keep=tmp_path, workers=workers, **options)
        assert same(take(kept, 0, 15), wanted, atol=0, rtol=0)
        for _ in range(2):
            assert same(list(kept.eval("test")), wanted_test, atol=0, rtol=0)
        same(take(kept, 6, 3), wanted[6:9] if len(wanted) > 8 else wanted, atol=0, rtol=0)


def test_every_file_is_read_once_however_many_epochs_evaluations_and_runs(folder, tmp_path, few_seen):
    data = make(folder, keep=tmp_path)
    paths = counted(data)
    batches = data.train(0)
    for _ in range(3):  # epochs; each leaves out the last example of its order
        for _ in range(data.steps_per_epoch):
            next(batches)
        list(data.eval("test"))
    assert 33 < len(paths) == len(set(paths)) <= 41
    batches.close()
    again = make(folder, keep=tmp_path)
    paths = counted(again)
    take(again, 0, 8), list(again.eval("test"))
    assert len(paths) < 2


def test_where_all_is_kept_no_processes_start(folder, tmp_path):
    list(make(folder, keep=tmp_path).eval("train"))
    batches = make(folder, keep=tmp_path, workers=2).train(0)
    for _ in range(5):
        next(batches)
    assert not multiprocessing.active_children()


def test_workers_end_once_all_is_kept_and_the_batches_go_on(folder, tmp_path, few_seen):
    data = make(folder, keep=tmp_path, workers=1)
    batches = data.train(0)
    next(batches)
    next(batches)
    assert multiprocessing.active_children()
    list(data.eval("train"))
    same(list(itertools.islice(batches, 20)), take(make(folder), 2, 20), atol=0, rtol=0)
    assert no_children()


def test_a_run_that_was_killed_half_way_leaves_what_it_read(folder, tmp_path, few_seen):
    wanted = take(make(folder), 0, 12)
    batches = make(folder, keep=tmp_path).train(0)
    next(batches)
    batches.close()
    half = make(folder, keep=tmp_path)
    assert 0 < half._splits["train"][0].store.share < 1
    assert same(take(half, 0, 12), wanted, atol=0, rtol=0)


def test_runs_at_once_share_what_they_keep(folder, tmp_path, few_seen):
    wanted = take(make(folder), 0, 12)
    data = [make(folder, keep=tmp_path, workers=workers) for workers in (0, 1)]
    taken = zip(*(one.train(0) for one in data), strict=True)
    for batch, both in zip(wanted, taken, strict=False):
        for one in both:
            assert same([one], [batch], atol=0, rtol=0)


def test_a_disk_that_fills_up_leaves_the_run_as_it_would_have_been(folder, tmp_path, monkeypatch, few_seen):
    def full(self, place, content):
        raise OSError(28, "No space left on device")

    wanted = take(make(folder), 0, 9)
    data = make(folder, keep=tmp_path)
    monkeypatch.setattr("dlkit.data.reading.store.Store._write", full)
    with pytest.warns(UserWarning, match="No space left on device") as warned:
        assert same(take(data, 0, 9), wanted, atol=0, rtol=0)
    assert len(warned) == 1


def test_a_changed_file_is_read_anew(folder, tmp_path):
    shutil.copytree(folder / "set", tmp_path / "set")
    list(make(tmp_path, keep=tmp_path / "cache").eval("train"))
    before = make(tmp_path, keep=tmp_path / "cache")
    path = before._splits["train"][0].paths[0]
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(path)
    after = make(tmp_path, keep=tmp_path / "cache")
    x = after._splits["train"][0]
    assert not next(read_batches(x, iter([torch.tensor([0])]))).any()
    assert before._splits["train"][0].store.path != x.store.path


def test_waveforms_of_different_lengths_come_as_ragged(tmp_path):
    files = Files([tmp_path / f"{n}.wav" for n in (3, 3, 5, 2)], number_of_steps)
    first, second = read_batches(files, iter(torch.tensor([[0, 1], [2, 3]])))
    assert torch.equal(first, torch.full((2, 3), 3.0))
    assert isinstance(second, Ragged) and second.lengths.tolist() == [5, 2]
    assert torch.equal(sample(files, 0).lengths, torch.tensor([3, 3, 5, 2]))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("keeps", [False, True])
def test_batches_on_the_gpu_are_those_of_the_cpu(folder, tmp_path, keeps):
    keep = tmp_path if keeps else None
    cpu, gpu = (make(folder, device=device, workers=2, augment=AUGMENT, keep=keep) for device in ("cpu", "cuda"))
    for a, b in zip(take(cpu, 0, 15), take(gpu, 0, 15), strict=True):
        assert b.x.is_cuda and b.y.is_cuda
        torch.testing.assert_close(a.x, b.x.cpu(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(a.y, b.y.cpu())


@pytest.mark.parametrize("augment", [None, {"flip": 0.5, "crop": 2, "rotate": 10.0}, AUGMENT])
def test_the_parts_of_a_batch_are_the_batch_with_the_same_changes(folder, augment):
    whole, *parts = (make(folder, augment=augment) for _ in range(4))
    for number, part in enumerate(parts):
        part.share(number, 3)
    for batch, *own in zip(take(whole, 2, 3), *(take(part, 2, 3) for part in parts), strict=True):
        assert [len(one.y) for one in own] == [3, 3, 2]
        torch.testing.assert_close(torch.cat([one.x for one in own]), batch.x)
        assert torch.equal(torch.cat([one.y for one in own]), batch.y)


def test_a_process_reads_its_part_only_unless_examples_are_mixed(folder, monkeypatch):
    read = []
    data = {mixes: make(folder, augment={"flip": 0.5, "mixup": float(mixes)}) for mixes in (False, True)}
    monkeypatch.setattr(
        Reader, "__getitem__", lambda self, paths: read.append(len(paths)) or torch.zeros(len(paths), 3, 8, 8)
    )
    for one in data.values():
        one.share(1, 4)
        take(one, 0, 1)
    assert read == [2, 8]


def test_the_parts_of_an_evaluation_are_its_examples(folder):
    whole, *parts = (make(folder) for _ in range(3))
    for number, part in enumerate(parts):
        part.share(number, 2)
    one, two, all_of_them = (torch.cat([batch.x for batch in data.eval("test")]) for data in (*parts, whole))
    assert torch.equal(torch.cat([one, two]), all_of_them)


@pytest.mark.parametrize("keep", [False, True])
def test_examples_and_raw_ones_are_those_of_data_in_memory(folder, tmp_path, keep):
    options = {"val_fraction": 0.3, "batch_size": 1}
    streamed, resident = make(folder, keep=tmp_path if keep else None, **options), make(folder, False, **options)
    rows = torch.tensor([4, 1])
    for _ in range(2):  # the second time from what is kept
        ours, theirs = streamed.examples("val", rows), resident.examples("val", rows)
        assert torch.equal(ours.x, theirs.x) and torch.equal(ours.y, theirs.y)
        assert torch.equal(streamed.raw("val", rows), resident.raw("val", rows))
    whole = torch.cat([batch.x for batch in streamed.eval("val")])
    assert torch.equal(ours.x, whole[rows])
    streamed.share(1, 2)
    ys = torch.cat([batch.y for batch in streamed.eval("val")])
    assert torch.equal(ys, streamed.targets("val")[streamed.order("val")])
