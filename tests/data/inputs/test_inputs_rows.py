"""Texts and rows one by one: the rules of whole files, kept while a file of any size is read."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkit.data.inputs import Example, Inputs, inputs_for
from dlkit.data.inputs.rows import Options, stream_rows
from dlkit.data.raw import Table, Texts
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import read_rows
from dlkit.data.tables.columns import Columns
from dlkit.data.text.tokens import Tokens
from dlkit.types import Spec

TEXT = Spec("tokens", (), 2, "classification", ("a", "b"))
ROW = Spec("tabular", (3,), 2, "classification", ("a", "b"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))


def sentences(column: Any = None, **source: Any) -> Inputs:
    encoder = Tokens()
    encoder.fit(Texts(["one two"]))
    return inputs_for(TEXT, encoder, source, column)


def rows(names: list[str] | None = None) -> Inputs:
    """Of a model of two numbers and a word."""
    encoder = Columns()
    encoder.fit(Table(torch.rand(3, 2), [["red", "3", ""]], names or ["size", "age", "colour"]))
    return inputs_for(ROW, encoder, {})


def told(found: Iterator[Example]) -> list[tuple[str, Any]]:
    """Name and raw example, or what is wrong."""
    return [(one.name, one.why or one.raw) for one in found]


FILES = {
    "commas.csv": 'a,b\n1,"x\ny"\n\n2,z\n3\n4,"w"\n',
    "semicolons.csv": "a;b\r\n1;x\r\n2;y,z\r\n",
    "numbers.csv": "1,2\n3,4\n",
    "tabs.tsv": "a\tb\n1\tx, y\n",
    "quote.csv": 'a,b\n1,x\n2,"never closed\n3,y\n',
    "objects.jsonl": '{"a": 1, "b": "x"}\n\n{"b": true}\n[1]\n{"a": 2.5, "b": null}\n',
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_rows_one_by_one_are_those_of_the_whole_file(name: str, packed: bool) -> None:
    path = Path(name + ".gz" * packed)
    path.write_bytes(gzip.compress(FILES[name].encode()) if packed else FILES[name].encode())
    problems = Problems("skip")
    whole = read_rows(path, problems)
    names, found = stream_rows(str(path), Options(), ())
    every = list(found)
    assert names == whole.names
    assert [(line, cells) for line, cells, why in every if not why] == list(zip(whole.lines, whole.cells, strict=True))
    assert [(f"{path}:{line}", why) for line, _, why in every if why] == problems.found


def test_a_file_is_read_as_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            line = b"1,2,red\n" * (len(buffer) // 8)
            buffer[: len(line)] = line
            return len(line)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    found = list(islice(rows(["0", "1", "2"]).stream(["-"]), 500))
    assert found[-1].name == "-:500"
    assert found[-1].raw == ([1.0, 2.0], ["red"])


def test_columns_are_told_by_name_and_bad_rows_by_line() -> None:
    Path("t.csv").write_text("colour,id,age,size\nred,7,NA,1.5\n green,8,2,x\nred,9\n,10,?,2\n")
    found = told(rows().stream(["t.csv"]))
    assert [name for name, _ in found] == ["t.csv:2", "t.csv:3", "t.csv:4", "t.csv:5"]
    assert found[0][1].numbers[0] == 1.5
    assert found[0][1].numbers[1] != found[0][1].numbers[1]  # nan
    assert found[1][1] == "'x' in column size, which holds numbers in training"
    assert found[2][1] == "2 cells, expected 4"
    assert [found[0][1].words, found[3][1].words] == [["red"], [""]]


def test_a_missing_column_is_told_with_those_wanted() -> None:
    Path("t.csv").write_text("colour,age\nred,1\n")
    ((name, why),) = told(rows().stream(["t.csv"]))
    assert (name, why) == ("t.csv", "no column size; the model takes size, age, colour; there are colour, age")


def test_columns_without_names_are_taken_in_their_order_where_the_count_is_right() -> None:
    reader = rows(["0", "3", "1"])  # the target was column 2
    Path("t.csv").write_text("1,red,2\n3,blue,4\n")
    assert [one.raw for one in reader.stream(["t.csv"])] == [([1.0, 2.0], ["red"]), ([3.0, 4.0], ["blue"])]
    Path("t.csv").write_text("1,red\n3,blue\n")
    ((_, why),) = told(reader.stream(["t.csv"]))
    assert why == "no column 3; the model takes 0, 3, 1; there are 0, 1"


def test_a_number_that_is_a_category_is_the_word_that_stood_in_training() -> None:
    assert rows().raw({"size": 1, "age": "2", "colour": 3.0}) == ([1.0, 2.0], ["3"])


def test_rows_and_objects_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b'{"size": 1, "age": 2, "colour": "red", "more": 3}\n{"age": 3, "colour": "red", "size": "?"}\n')
    found = told(rows().stream(["-"]))
    assert found[0] == ("-:1", ([1.0, 2.0], ["red"]))
    assert found[1][1].numbers[1] == 3
    give(monkeypatch, b"size;age;colour\n1;2;red\n")
    assert told(rows().stream(["-"])) == [("-:2", ([1.0, 2.0], ["red"]))]


def test_texts_are_lines_of_a_file_or_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.txt").write_bytes(b"\xef\xbb\xbfone\r\n\n  two, three \nfo\xffur\n")
    expected = [("one", 1), ("two, three", 3), ("not in utf-8", 4)]
    assert told(sentences().stream(["t.txt"])) == [(f"t.txt:{line}", text) for text, line in expected]
    give(monkeypatch, Path("t.txt").read_bytes())
    assert told(sentences().stream(["-"])) == [(f"-:{line}", text) for text, line in expected]


def test_files_are_texts_where_the_model_was_trained_on_such() -> None:
    Path("in").mkdir()
    Path("in/a.txt").write_text(" one\ntwo\n")
    Path("in/b.txt").write_text("")
    reader = sentences(_target_="dlkit.data.text.files.text_folder")
    assert told(reader.stream(["in", "gone.txt"])) == [
        ("in/a.txt", " one\ntwo\n"),
        ("in/b.txt", "the text is empty"),
        ("gone.txt", "no such file"),
    ]


def test_texts_come_from_the_columns_of_the_run_or_the_one_named() -> None:
    Path("t.csv").write_text("title,body,n\nA film,it is\nwell,,3\nhot,dog,4\n")
    both = sentences(text=["title", "body"])
    assert told(both.stream(["t.csv"])) == [
        ("t.csv:2", "2 cells, expected 3"),
        ("t.csv:3", "well"),
        ("t.csv:4", "hot dog"),
    ]
    assert [one.raw for one in sentences("body").stream(["t.csv"])] == [None, None, "dog"]
    assert [one.raw for one in sentences(1).stream(["t.csv"])] == [None, None, "dog"]
    assert told(sentences("text").stream(["t.csv"])) == [
        ("t.csv", "no column text (--column NAME); there are title, body, n")
    ]
    assert told(sentences().stream(["t.csv"])) == [
        ("t.csv", "--column NAME says which column holds the text; there are title, body, n")
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no rows in this file"),
        (b"size,age,colour\n", "no rows in this file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "holds zero bytes, so it is no text, or not in utf-8"),
        (gzip.compress(b"size,age\n" * 999, mtime=0)[:40], "cannot be read: Compressed file ended before"),
        (b"size,age,size\n1,2,3\n", "two columns have the name 'size'; rename one"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(content: bytes, why: str) -> None:
    Path("t.csv").write_bytes(content)
    ((name, found),) = told(rows().stream(["t.csv"]))
    assert name == "t.csv"
    assert found.startswith(why)
