from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from dlkit.data.reading.store import PAGE, Store, open_store

SHAPE = (3, 5, 7)
ROWS = torch.tensor([4, 0, 9])


def values(count: int = 10, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    return torch.randint(1, 255, (count, *shape), generator=torch.manual_seed(0)).to(dtype)


def store(path: Path, count: int = 10) -> Store:
    return Store(path / "k.rows", count, SHAPE, torch.uint8)


@pytest.mark.parametrize(
    ("shape", "dtype"), [(SHAPE, torch.uint8), ((1, 64, 64), torch.uint8), ((1500,), torch.float32)]
)
def test_what_is_put_there_is_read_bit_for_bit_by_this_run_and_the_next(
    tmp_path: Path, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    x = values(10, shape, dtype)
    first = Store(tmp_path / "k.rows", 10, shape, dtype)
    assert not first.has(torch.arange(10)).any()
    first.put(ROWS, x[ROWS])
    first.mark()
    for one in (first, Store(tmp_path / "k.rows", 10, shape, dtype)):
        assert one.has(torch.arange(10)).nonzero().flatten().tolist() == [0, 4, 9]
        read = one[ROWS]
        assert read.dtype is dtype and torch.equal(read, x[ROWS]) and one.share == 0.3


def test_a_copy_may_be_changed_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    x, one = values(), store(tmp_path)
    one.put(ROWS, x[ROWS])
    one[ROWS].zero_()
    assert torch.equal(one[ROWS], x[ROWS])


def test_what_a_killed_run_wrote_but_did_not_mark_is_not_there(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.put(ROWS, values()[ROWS])
    assert one.has(ROWS).all() and not store(tmp_path).has(ROWS).any()


def test_marks_come_by_themselves_after_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlkit.data.reading.store.MARK", 2 * PAGE)
    one = store(tmp_path)
    one.put(ROWS[:1], values()[ROWS[:1]])
    assert store(tmp_path).share == 0
    one.put(ROWS[1:], values()[ROWS[1:]])
    assert store(tmp_path).has(ROWS).all()


def test_two_runs_at_once_fill_one_file_and_see_each_others_rows_when_they_mark_theirs(tmp_path: Path) -> None:
    x, (one, other) = values(), (store(tmp_path), store(tmp_path))
    one.put(torch.arange(6), x[:6])
    other.put(torch.arange(4, 10), x[4:])
    other.mark()
    assert one.has(torch.arange(10)).tolist() == [True] * 6 + [False] * 4
    one.mark()
    for each in (one, store(tmp_path)):
        assert each.share == 1 and torch.equal(each[torch.arange(10)], x)


def test_rows_begin_on_pages_so_that_no_two_machines_write_the_same_one(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.put(torch.arange(10), values())
    one.mark()
    content = (tmp_path / "k.rows").read_bytes()
    assert len(content) == 10 * PAGE + 10 and content[PAGE : PAGE + 105] == values()[1].numpy().tobytes()


def test_a_full_disk_is_warned_of_once_and_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Store, place: int, content: object) -> None:
        raise OSError(28, "No space left on device")

    one = store(tmp_path)
    one.put(ROWS[:1], values()[ROWS[:1]])
    one.mark()
    monkeypatch.setattr(Store, "_write", full)
    with pytest.warns(UserWarning, match=r"data\.cache: decoded examples are not kept in .*: No space left on device"):
        one.put(ROWS[1:], values()[ROWS[1:]])
    one.put(ROWS[1:], values()[ROWS[1:]])  # silently
    one.mark()
    assert one.has(ROWS).tolist() == [True, False, False]


def opened(path: Path, limit: float = 1.0) -> tuple[Store | None, str]:
    return open_store(path, 10, SHAPE, torch.uint8, limit)


def test_the_note_says_where_it_is_how_large_and_how_full(tmp_path: Path) -> None:
    path = tmp_path / "new" / "k.rows"
    one, note = opened(path)
    assert one is not None and note == f"kept decoded in {path}: 4.1e-05 GB, 0% there, the rest as it is first read"
    one.put(torch.arange(10), values())
    one.mark()
    assert opened(path)[1].endswith("GB, all there")


def test_what_takes_more_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    assert opened(tmp_path / "k.rows", 4e-5) == (
        None,
        "not kept decoded: 4.1e-05 GB, more than data.cache_limit=4e-05",
    )
    assert opened(tmp_path / "k.rows", 0)[0] is None and list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_warned_of_and_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(45_000))
    with pytest.warns(UserWarning, match=r"they would take 4\.1e-05 GB, and 4\.5e-05 GB are free"):
        assert opened(tmp_path / "k.rows") == (None, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"data\.cache: decoded examples are not kept in .*file/folder"):
        assert opened(tmp_path / "file" / "folder" / "k.rows") == (None, "")


def test_a_file_of_somebody_else_is_read_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, one = values(), store(tmp_path)
    one.put(ROWS, x[ROWS])
    one.mark()

    def refused(self: Path, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refused)
    theirs = store(tmp_path)
    theirs.put(torch.tensor([1]), x[:1])
    assert theirs.has(torch.arange(10)).sum() == 3 and torch.equal(theirs[ROWS], x[ROWS])
    with pytest.raises(PermissionError):
        Store(tmp_path / "another.rows", 10, SHAPE, torch.uint8)


def test_what_the_disk_refuses_late_is_read_from_the_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: int) -> None:
        raise OSError(122, "Disk quota exceeded")

    one = store(tmp_path)
    one.put(ROWS, values()[ROWS])
    monkeypatch.setattr("dlkit.data.reading.store.os.fsync", refused)
    with pytest.warns(UserWarning, match="Disk quota exceeded"):
        one.mark()
    assert not one.has(ROWS).any() and not one.writes
