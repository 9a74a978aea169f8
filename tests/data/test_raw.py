from pathlib import Path

import pytest
import torch

from dlkit.data import Files, Ragged, Table, Texts
from dlkit.data.raw import indices

MASK, PLACES = torch.tensor([True, False, True, False]), torch.tensor([3, 0, 3])


def table(names=None):
    return Table(torch.arange(8.0).view(4, 2), [["a", "b", "", "d"]], names)


def ragged(dtype=torch.float32):
    return Ragged.of([torch.tensor(row, dtype=dtype) for row in ([1, 2, 3], [4], [], [5, 6])])


def told(raw):
    return b"".join(raw.parts())


def test_a_mask_or_places_choose_examples_of_every_container():
    assert indices(MASK) == [0, 2] and indices(PLACES) == [3, 0, 3]
    assert Texts("abcd")[MASK].texts == ["a", "c"] and Texts("abcd")[PLACES].texts == ["d", "a", "d"]
    assert table()[MASK].numbers.tolist() == [[0, 1], [4, 5]] and table()[MASK].words == [["a", ""]]
    assert table()[PLACES].words == [["d", "a", "d"]] and table(["x", "y", "z"])[PLACES].names == ["x", "y", "z"]
    assert ragged()[MASK].lengths.tolist() == [3, 0] and ragged()[PLACES].values.tolist() == [5, 6, 1, 2, 3, 5, 6]
    files = Files([Path(name) for name in "abcd"], torch.load, workers=2)
    assert [path.name for path in files[PLACES].paths] == ["d", "a", "d"] and files[MASK].workers == 2
    assert list(map(len, (Texts("abcd"), table(), ragged(), files))) == [4] * 4


def test_every_change_of_texts_tables_and_sequences_changes_their_digest():
    texts = [["ab", "c"], ["a", "bc"], ["abc", ""], ["ab\0c"], ["c", "ab"]]
    assert len({told(Texts(one)) for one in texts}) == 5
    other_words = Table(table().numbers, [["a", "b", "", "e"]])
    other_numbers = Table(table().numbers + 1, table().words)
    assert len({told(one) for one in (table(), table(["x", "y", "z"]), other_words, other_numbers)}) == 4
    values = torch.arange(6.0)
    sequences = [
        Ragged(values, torch.tensor([2, 4])),
        Ragged(values, torch.tensor([4, 2])),
        Ragged(values.int(), torch.tensor([2, 4])),
        Ragged(values.view(3, 2), torch.tensor([1, 2])),
    ]
    assert len({told(one) for one in sequences}) == 4
    assert told(ragged()) == told(ragged())


def test_texts_that_are_no_unicode_have_a_digest_too():
    assert told(Texts(["\udcff"])) != told(Texts(["\udcfe"]))


def test_files_are_told_apart_by_folder_name_and_size(tmp_path):
    for name, content in (("a/x.wav", b"1"), ("b/x.wav", b"1"), ("b/y.wav", b"12")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    paths = sorted(tmp_path.rglob("*.wav"))
    assert len({told(Files([path], torch.load)) for path in paths}) == 3
    before = told(Files(paths, torch.load))
    paths[0].write_bytes(b"123")
    assert told(Files(paths, torch.load)) != before


def test_numbers_are_padded_with_nan_and_whole_numbers_with_zero():
    nan = torch.nan
    expected = torch.tensor([[5, 6, nan], [1, 2, 3], [4, nan, nan], [nan, nan, nan]])
    order = torch.tensor([3, 0, 1, 2])
    torch.testing.assert_close(ragged().padded(order), expected, equal_nan=True)
    tokens = ragged(torch.int64).padded(order)
    assert tokens.dtype is torch.int64 and tokens.tolist() == [[5, 6, 0], [1, 2, 3], [4, 0, 0], [0, 0, 0]]


def test_a_batch_is_as_wide_as_its_longest_and_one_step_where_all_are_empty():
    assert ragged().padded(torch.tensor([3, 1])).shape == (2, 2)
    assert ragged().padded(torch.tensor([2])).isnan().tolist() == [[True]]


def test_steps_of_several_numbers_are_padded_whole():
    rows = Ragged.of([torch.ones(2, 3), torch.ones(1, 3) * 2])
    assert rows.shape == (2, 2, 3)
    batch = rows.padded(torch.tensor([1, 0]))
    assert batch[0, 0].tolist() == [2, 2, 2] and batch[0, 1].isnan().all() and torch.equal(batch[1], torch.ones(2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int32, torch.float16])
def test_padding_gives_back_each_of_many_sequences_the_first_and_last_too(dtype):
    generator = torch.manual_seed(0)
    parts = [torch.randint(1, 100, (int(n),), generator=generator).to(dtype) for n in torch.randint(0, 9, (50,))]
    sequences = Ragged.of(parts)
    order = torch.randperm(50, generator=generator)
    for chosen in [order[:7], torch.tensor([49]), torch.tensor([0]), torch.arange(50)]:
        batch = sequences.padded(chosen)
        for row, place in zip(batch, chosen.tolist(), strict=True):
            inside, behind = row[: len(parts[place])], row[len(parts[place]) :]
            assert torch.equal(inside, parts[place])
            assert (behind.isnan() if dtype.is_floating_point else behind == 0).all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_padding_on_the_gpu_is_that_of_the_cpu_and_waits_for_nothing():
    chosen = torch.tensor([3, 0, 2])
    there = ragged().to("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = there.padded(chosen)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(batch.cpu(), ragged().padded(chosen), equal_nan=True)
