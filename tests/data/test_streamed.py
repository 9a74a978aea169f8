import itertools
import multiprocessing
import pickle
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


def make(folder, streams=True, workers=0, augment=None, **options):
    limit = 1e-9 if streams else 1.0
    examples = image_folder(
        root=str(folder / "set"), size=8, memory_limit=limit, workers=workers, cache=str(folder / "cache")
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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_damaged_behind_its_header_is_named_when_it_is_read(folder, tmp_path, workers):
    data = make(folder, workers=workers)
    x, _ = data._splits["train"]
    damaged = tmp_path / "cut.png"
    damaged.write_bytes(x.paths[0].read_bytes()[:100])
    files = Files([*x.paths[:6], damaged], x.read, workers)
    batches = read_batches(files, iter(torch.arange(7).split(2)))
    with pytest.raises(ValueError) as caught:
        list(batches)
    why = "of what is streamed, data.on_error=skip sees the headers only"
    assert str(caught.value) == f"{damaged}: the image is damaged or cut off; mend or remove the file ({why})"
    assert no_children()


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


def test_waveforms_of_different_lengths_come_as_ragged(tmp_path):
    files = Files([tmp_path / f"{n}.wav" for n in (3, 3, 5, 2)], number_of_steps)
    first, second = read_batches(files, iter(torch.tensor([[0, 1], [2, 3]])))
    assert torch.equal(first, torch.full((2, 3), 3.0))
    assert isinstance(second, Ragged) and second.lengths.tolist() == [5, 2]
    assert torch.equal(sample(files, 0).lengths, torch.tensor([3, 3, 5, 2]))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_the_gpu_are_those_of_the_cpu(folder):
    cpu, gpu = (make(folder, device=device, workers=2, augment=AUGMENT) for device in ("cpu", "cuda"))
    for a, b in zip(take(cpu, 0, 6), take(gpu, 0, 6), strict=True):
        assert b.x.is_cuda and b.y.is_cuda
        torch.testing.assert_close(a.x, b.x.cpu(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(a.y, b.y.cpu())
