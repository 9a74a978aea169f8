import os
from pathlib import Path

import pytest
import torch

from dlkit.data.reading.cache import cache_folder, cached, key


class Maker:
    """Makes a value and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"x": torch.arange(5), "names": ["a", "b"]}


def test_what_is_made_once_is_read_the_next_time(tmp_path):
    make = Maker()
    first, second = (cached(tmp_path / "new" / "folder", "k", make) for _ in range(2))
    assert make.calls == 1 and torch.equal(first["x"], second["x"]) and second["names"] == ["a", "b"]
    cached(tmp_path / "new" / "folder", "another", make)
    assert make.calls == 2
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["another.pt", "k.pt"]


@pytest.mark.parametrize("damage", [b"", b"no tensors at all", None], ids=["empty", "garbage", "cut off"])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    make = Maker()
    cached(tmp_path, "k", make)
    whole = (tmp_path / "k.pt").read_bytes()
    (tmp_path / "k.pt").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert torch.equal(cached(tmp_path, "k", make)["x"], torch.arange(5)) and make.calls == 2
    cached(tmp_path, "k", make)
    assert make.calls == 2


def test_a_folder_that_cannot_be_written_is_warned_of_and_the_value_is_there(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="data.cache: nothing is kept in .*file/folder for the next run"):
        value = cached(tmp_path / "file" / "folder", "k", Maker())
    assert value["names"] == ["a", "b"]


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(made, path):
        Path(path).write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(UserWarning, match="PytorchStreamWriter failed"):
        cached(tmp_path, "k", Maker())
    assert list(tmp_path.iterdir()) == []


def test_the_key_tells_options_files_sizes_and_times_apart(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (a, b):
        path.write_text("1")
        os.utime(path, ns=(0, 0))
    keys = [key("size=64", [a, b]), key("size=32", [a, b]), key("size=64", [a])]
    os.utime(a, ns=(0, 1))
    keys.append(key("size=64", [a, b]))
    a.write_text("12")
    os.utime(a, ns=(0, 1))
    keys.append(key("size=64", [a, b]))
    assert len(set(keys)) == 5 and keys[-1] == key("size=64", [a, b])


def test_the_cache_is_in_the_users_cache_folder_unless_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder(None).name == "dlkit"
    assert cache_folder("~/there") == Path("/home/somebody/there")
