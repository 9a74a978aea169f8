"""Tables of the user's: what is read, what is told apart, and how each bad input is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from dlkit.data.examples import Examples
from dlkit.data.prepare import load
from dlkit.data.raw import Table
from dlkit.data.reading.targets import told
from dlkit.data.tables.columns import Columns
from dlkit.data.tables.files import table_csv

ROWS = [["age", "job", "pay"], ["31", "cook", "yes"], ["", "?", "no"], ["54.5", "smith", "yes"], ["20", "cook", "no"]]


def written(place: Path, rows: list[list[str]] = ROWS, mark: str = ",") -> str:
    place.write_text("".join(mark.join(row) + "\n" for row in rows))
    return str(place)


def train(examples: Examples) -> tuple[Table, torch.Tensor]:
    x, y = examples.splits["train"]
    assert isinstance(x, Table)
    return x, y


def check_rows(examples: Examples) -> None:
    x, y = train(examples)
    assert x.names == ["age", "job"]
    torch.testing.assert_close(
        x.numbers, torch.tensor([[31], [torch.nan], [54.5], [20]], dtype=torch.float64), equal_nan=True
    )
    assert x.words == [["cook", "", "smith", "cook"]]
    assert (examples.task, examples.classes, y.tolist()) == ("classification", ("no", "yes"), [1, 0, 1, 0])


@pytest.mark.parametrize(("name", "mark"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t"), ("t.txt", "|")])
def test_any_delimiter_gives_the_same_table(name: str, mark: str, tmp_path: Path) -> None:
    check_rows(table_csv(path=written(tmp_path / name, mark=mark), target="pay"))


def test_a_delimiter_can_be_given(tmp_path: Path) -> None:
    rows = [[cell or "NA" for cell in row] for row in ROWS]  # several spaces delimit as one does
    check_rows(table_csv(path=written(tmp_path / "t.tsv", rows, "  "), target="pay", delimiter="space"))


def test_compressed_files_spaces_and_byte_order_marks_change_nothing(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "t.csv", mark=" , "))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + path.read_bytes()))
    check_rows(table_csv(path=str(tmp_path / "t.csv.gz"), target="pay"))


def test_json_lines_give_the_same_table(tmp_path: Path) -> None:
    objects: list[dict[str, object]] = [
        {"age": 31, "job": "cook", "pay": "yes"},
        {"age": None, "pay": "no"},
        {"pay": "yes", "age": 54.5, "job": "smith"},
        {"age": 20, "job": "cook", "pay": "no"},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    check_rows(table_csv(path=str(tmp_path / "t.jsonl"), target="pay"))


def test_without_a_header_columns_go_by_number(tmp_path: Path) -> None:
    x, y = train(table_csv(path=written(tmp_path / "t.csv", ROWS[1:]), target=2))
    assert (x.names, y.tolist()) == (["0", "1"], [1, 0, 1, 0])


def test_a_header_is_told_from_a_column_of_numbers_below_a_word(tmp_path: Path) -> None:
    rows = [["size", "kind"], ["1", "a"], ["2", "b"], ["4", "a"], ["8", "b"]]
    assert len(train(table_csv(path=written(tmp_path / "t.csv", rows), target=1))[1]) == 4
    assert len(train(table_csv(path=written(tmp_path / "u.csv", rows[1:]), target=1))[1]) == 4


def test_columns_are_chosen_left_out_and_forced_to_words(tmp_path: Path) -> None:
    rows = [["a", "b", "c", "y"], *([str(i % 3), str(i % 2), str(i * i), "uv"[i % 2]] for i in range(12))]
    path = written(tmp_path / "t.csv", rows)
    assert train(table_csv(path=path, target="y", columns=["c", "a"]))[0].names == ["c", "a"]
    assert train(table_csv(path=path, target="y", ignore=["b"]))[0].names == ["a", "c"]
    x, _ = train(table_csv(path=path, target="y", categorical=["a"]))
    assert (x.names, x.words) == (["b", "c", "a"], [[str(i % 3) for i in range(12)]])


def test_it_is_said_which_columns_are_taken_as_numbers_and_which_as_words(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(9)]
    rows = [[*names, "word", "y"], *([*[str(i % 5)] * 9, "pqr"[i % 3], "uv"[i % 2]] for i in range(12))]
    notes = table_csv(path=written(tmp_path / "t.csv", rows), target="y").notes
    assert f"numbers in 9 columns: {', '.join(names[:8])} …" in notes and "words in 1 column: word" in notes


def test_identifiers_and_empty_columns_are_left_out_and_said(tmp_path: Path) -> None:
    rows = [["id", "name", "void", "x", "y"]]
    rows += [[str(i + 7), f"n{i}", "NA", str(i % 5), "uv"[i % 2]] for i in range(12)]
    examples = table_csv(path=written(tmp_path / "t.csv", rows), target="y")
    assert train(examples)[0].names == ["x"]
    said = "\n".join(examples.notes)
    for line in (
        "column id left out: it numbers the rows",
        "name left out: another word",
        "void left out: it is empty",
    ):
        assert line in said
    kept = table_csv(path=str(tmp_path / "t.csv"), target="y", columns=["id", "name", "x"])
    assert train(kept)[0].names == ["id", "x", "name"]


def test_a_column_of_numbers_with_one_odd_cell_is_taken_as_words_and_said(tmp_path: Path) -> None:
    rows = [["x", "y"], *([str(i % 5) if i else "unknown", "uv"[i % 2]] for i in range(30))]
    path = written(tmp_path / "t.csv", rows)
    (note,) = [note for note in table_csv(path=path, target="y").notes if note.startswith("column x")]
    assert "'unknown' is no number (data.missing" in note
    assert train(table_csv(path=path, target="y", missing=["unknown"]))[0].numbers.isnan().sum() == 1


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["a", "b"] * 5, "classification"),
        (["0", "1"] * 5, "classification"),
        ([str(i % 20) for i in range(40)], "classification"),
        ([str(i % 21) for i in range(84)], "regression"),  # too many
        ([str(i) for i in range(10)], "regression"),  # each only once
        (["0.5", "1"] * 5, "regression"),  # not whole
        ([str(i * i) for i in range(95)] + ["?!"] * 5, "regression"),  # nine in ten are numbers
        ([str(i * i) for i in range(80)] + ["?!"] * 20, "classification"),
    ],
)
def test_the_task_is_told_from_the_target(cells: list[str], task: str) -> None:
    assert told(cells) == task


def test_the_task_can_be_given_and_classes_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    rows = [["x", "y"], *([str(i % 7), ["10", "9", "1.0", "1"][i % 4]] for i in range(24))]
    path = written(tmp_path / "t.csv", rows)
    assert table_csv(path=path, target="y").classes == ("1", "9", "10")
    examples = table_csv(path=path, target="y", task="regression")
    assert train(examples)[1][:4].tolist() == [[10], [9], [1], [1]]
    assert examples.task == "regression"


def test_splits_come_from_a_column(tmp_path: Path) -> None:
    rows = [["x", "part", "y"]]
    rows += [[str(i), ["train", "Valid", "test", "training"][i % 4], "uv"[i // 4 % 2]] for i in range(16)]
    examples = table_csv(path=written(tmp_path / "t.csv", rows), target="y", split="part")
    assert {name: x.numbers[:, 0].tolist() for name, (x, _) in examples.splits.items()} == {
        "train": [0, 3, 4, 7, 8, 11, 12, 15],
        "val": [1, 5, 9, 13],
        "test": [2, 6, 10, 14],
    }


def test_splits_come_from_files_whose_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv")
    other = written(tmp_path / "u.csv", [["pay", "more", "age", "job"], ["no", "1", "7", "nurse"]])
    x, y = table_csv(path=path, target="pay", test_path=other).splits["test"]
    assert (x.numbers.tolist(), x.words, y.tolist()) == ([[7]], [["nurse"]], [0])


def test_rows_of_a_group_have_its_number(tmp_path: Path) -> None:
    rows = [["x", "who", "y"], *([str(i % 3), "ba"[i // 6], "uv"[i % 2]] for i in range(12))]
    examples = table_csv(path=written(tmp_path / "t.csv", rows), target="y", group="who")
    assert examples.groups is not None
    assert examples.groups.tolist() == [1] * 6 + [0] * 6
    assert train(examples)[0].names == ["x"]


BAD = """x,job,y
1,a,u
2,b
3,a,
4,b,v
5,a,u
6,b,w
"""
TEST = """x,job,y
7,a,u
seven,a,u
8,zebra,v
9,b,t
"""


def bad_files(place: Path) -> tuple[str, str]:
    (place / "bad.csv").write_text(BAD + "".join(f"{i},a,v\n" for i in range(5)))
    (place / "test.csv").write_text(TEST)
    return str(place / "bad.csv"), str(place / "test.csv")


def test_all_that_is_wrong_with_the_rows_is_said_at_once_by_line(tmp_path: Path) -> None:
    path, test_path = bad_files(tmp_path)
    with pytest.raises(ValueError, match="5 problems") as caught:
        table_csv(path=path, test_path=test_path, target="y")
    lines = str(caught.value).splitlines()[1:]
    assert sorted(lines) == [
        f"{path}:3: 2 cells, expected 3",
        f"{path}:4: target y is missing",
        f"{path}:7: class 'w' has this one training row only; two are needed",
        f"{test_path}:3: 'seven' in column x, which holds numbers in training",
        f"{test_path}:5: class 't' is in no training row",
    ]


def test_what_is_wrong_is_skipped_and_counted(tmp_path: Path) -> None:
    path, test_path = bad_files(tmp_path)
    examples = table_csv(path=path, test_path=test_path, target="y", on_error="skip")
    assert {name: len(y) for name, (_, y) in examples.splits.items()} == {"train": 8, "test": 2}
    assert examples.classes == ("u", "v")
    assert [note for note in examples.notes if note.startswith("left out 1: target y is missing")]
    assert examples.splits["test"][0].words == [["a", "zebra"]]


def test_a_word_among_the_numbers_of_a_regression_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", [["x", "y"], *([str(i % 4), str(i * i)] for i in range(30)), ["1", "12O"]])
    with pytest.raises(ValueError, match=r"t\.csv:32: target '12O' is no number"):
        table_csv(path=path, target="y")


def test_a_quotation_mark_that_is_not_closed_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('x,y\n1,u\n"2,v\n3,u\n4,v\n')
    with pytest.raises(ValueError, match=r"t\.csv:3: .*data\.quoting=false"):
        table_csv(path=str(tmp_path / "t.csv"), target="y")


def test_lines_of_another_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("x,y\ncafé,u\ncafé,v\ntea,v\ntea,u\ntea,v\ntea,u\n".encode("latin-1"))
    path = str(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"2 problems[\s\S]*t\.csv:2: not in utf-8[\s\S]*t\.csv:3: not"):
        table_csv(path=path, target="y")
    x, _ = train(table_csv(path=path, target="y", encoding="latin-1"))
    assert x.words == [["café", "café", "tea", "tea", "tea", "tea"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "wage"}, r"data\.target=wage: t\.csv has the columns age, job, pay; did you mean age\?"),
        ({"target": 7}, r"data\.target=7: t\.csv has the columns age, job, pay"),
        ({"ignore": ["jobb"]}, r"data\.ignore=jobb: .*did you mean job\?"),
        ({"group": "jobs"}, r"data\.group=jobs: .*did you mean job\?"),
        ({"split": "job"}, r"data\.split=job: no row of .* says train, val or test, but '.', 'cook', 'smith'"),
        ({"target": "job", "task": "regression"}, r"data\.target=job: no training row has a number there \('cook'\)"),
        ({"split": "job", "test_path": "x"}, r"data\.split: .* not in both"),
        ({"path": "nothing.csv"}, r"data\.path=nothing\.csv: no such file"),
        ({"test_path": "nothing.csv"}, r"data\.test_path=nothing\.csv: no such file"),
        ({"encoding": "utf-9"}, r"data\.encoding=utf-9: no such encoding"),
        ({"columns": ["pay"]}, r"no column is left to learn from"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=message):
        table_csv(**{"path": path, "target": "pay", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows in this file"),
        ("x,y\n", "no rows are left for the train split"),
        ("x,y\n1,a\n2,a\n", r"data\.target=y: 1 classes with two or more training rows"),
        ("x,y\n1,a\n2,b\n", r"data\.target=y: another one in each of 2 training rows"),
        ("x,x\n1,2\n", r":1: two columns have the name 'x'"),
    ],
)
def test_files_that_cannot_be_used_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        table_csv(path=str(tmp_path / "t.csv"), target="x" if "x,x" in content else "y")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x,y\n1,a\n" * 100)[:-9])
    with pytest.raises(ValueError, match=r"t\.csv\.gz: damaged"):
        table_csv(path=str(tmp_path / "t.csv.gz"), target="y")


def test_a_table_becomes_batches_with_codes_last_and_standardised_targets(tmp_path: Path) -> None:
    rows = [["x", "kind", "y"], *([str(i % 7) if i % 5 else "", "uv"[i % 2], str(1000 + 3 * i)] for i in range(50))]
    examples = table_csv(path=written(tmp_path / "t.csv", rows), target="y")
    options = {"batch_size": 10, "val_fraction": 0.0, "test_fraction": 0.2, "split_seed": 0}
    data = load(examples, 0, "cpu", encoder=Columns(categories="embed"), **options)  # type: ignore[arg-type]
    assert (data.spec.task, data.spec.input_shape, data.spec.cardinalities) == ("regression", (3,), (3,))
    batches = [next(data.train(step)) for step in range(data.steps_per_epoch)]
    x, y = torch.cat([batch.x for batch in batches]), torch.cat([batch.y for batch in batches])
    assert set(x[:, 2].tolist()) == {1, 2}
    assert y.mean().item() == pytest.approx(0, abs=1e-6)
    assert y.std(correction=0).item() == pytest.approx(1)
    back = y.double() * data.spec.target_std[0] + data.spec.target_mean[0]
    torch.testing.assert_close((back - 1000) / 3, ((back - 1000) / 3).round(), atol=1e-3, rtol=0)
    assert load(examples, 0, "cpu", scale_target=False, **options).spec.target_std == ()  # type: ignore[arg-type]


def test_named_classes_have_their_order_and_any_number_of_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", [["x", "y"], ["3", "1.0"], ["4", "7"]])
    examples = table_csv(path=path, target="y", classes=[7, "2", "1"], columns=["x"])
    assert (examples.task, examples.classes, train(examples)[1].tolist()) == ("classification", ("7", "2", "1"), [2, 0])
    assert table_csv(path=path, target="y", classes=["2", "1.0", "7"]).classes == ("2", "1.0", "7")
    assert (
        len(train(table_csv(path=written(tmp_path / "u.csv", ROWS[:2]), target="pay", classes=["no", "yes"]))[0]) == 1
    )


def test_rows_of_classes_that_are_not_named_are_problems(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="2 problems") as caught:
        table_csv(path=path, target="pay", classes=["yes", "wolf"])
    assert str(caught.value).splitlines()[1:] == [f"{path}:{n}: class 'no' is none of yes, wolf" for n in (3, 5)]
    examples = table_csv(path=path, target="pay", classes=["wolf", "yes"], on_error="skip")
    assert train(examples)[1].tolist() == [1, 1]
    with pytest.raises(ValueError, match="no rows are left"):
        table_csv(path=path, target="pay", classes=["wolf", "owl"], on_error="skip")


def test_classes_of_a_regression_and_equal_ones_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"data\.classes: targets of a regression are numbers"):
        table_csv(path=path, target="age", task="regression", classes=["1", "2"])
    with pytest.raises(ValueError, match=r"data\.classes=\[1, 1\.0\]: 1 is in it twice"):
        table_csv(path=path, target="age", classes=["1", "1.0"])


def test_columns_of_numbers_can_be_named_and_keep_to_it(tmp_path: Path) -> None:
    """Empty, of words but for the bad rows, counting, and never varying: none is dropped or changes its kind."""
    rows = [["e", "w", "v", "n", "c", "y"]]
    rows += [["", "", "NA", str(i), "5", "uv"[i % 2]] for i in range(12)]
    path = written(tmp_path / "t.csv", rows)
    kinds = {"numeric": ["n", "e", "c"], "categorical": ["v", "w"]}
    x, _ = train(table_csv(path=path, target="y", columns=["c", "e", "n", "v", "w"], **kinds))  # type: ignore[arg-type]
    assert x.names == ["c", "e", "n", "v", "w"]
    assert x.numbers[:, 1].isnan().all()
    assert (x.numbers[:, 0] == 5).all()
    assert x.words == [[""] * 12] * 2
    assert train(table_csv(path=path, target="y", **kinds))[0].names == ["e", "n", "c", "w", "v"]  # type: ignore[arg-type]


def test_a_word_in_a_column_named_as_numbers_is_a_problem_of_its_row(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", [["x", "y"], ["many", "u"], ["few", "v"], ["2", "u"], ["3", "v"], ["", "v"]])
    with pytest.raises(ValueError, match="2 problems") as caught:
        table_csv(path=path, target="y", numeric=["x"])
    assert str(caught.value).splitlines()[1:] == [
        f"{path}:2: 'many' in column x, which data.numeric names",
        f"{path}:3: 'few' in column x, which data.numeric names",
    ]
    assert train(table_csv(path=path, target="y", numeric=["x"], on_error="skip"))[0].numbers[:2].tolist() == [[2], [3]]
    with pytest.raises(ValueError, match=r"data\.numeric=x: data\.categorical has it too"):
        table_csv(path=path, target="y", numeric=["x"], categorical=[0])
    with pytest.raises(ValueError, match=r"data\.numeric=z: t\.csv has the columns x, y"):
        table_csv(path=path, target="y", numeric=["z"])


def test_columns_named_by_numbers_in_words_make_no_header(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", ROWS[1:])
    x, _ = train(table_csv(path=path, target=2, columns=["0", "1"], numeric=["0"], categorical=["1"]))
    assert (x.names, len(x)) == (["0", "1"], 4)
    headed = written(
        tmp_path / "u.csv", [["2019", "2020", "y"], *([str(i), str(i * i), "uv"[i % 2]] for i in range(8))]
    )
    assert train(table_csv(path=headed, target=2, columns=["2020"]))[0].names == ["2020"]


def test_rows_have_the_names_of_their_lines(tmp_path: Path) -> None:
    path, test_path = bad_files(tmp_path)
    examples = table_csv(path=path, test_path=test_path, target="y", on_error="skip")
    assert examples.names == {
        "train": tuple(f"bad.csv:{line}" for line in (2, 5, 6, 8, 9, 10, 11, 12)),
        "test": ("test.csv:2", "test.csv:4"),
    }


def test_other_rows_become_the_columns_that_an_encoder_was_fitted_on(tmp_path: Path) -> None:
    """Numbers that look like words are, words that look like numbers, and one that is not there: by name."""
    columns = Columns()
    columns.fit(train(table_csv(path=written(tmp_path / "t.csv"), target="pay"))[0])
    rows = [["job", "id", "age", "pay"], ["7", "x1", "", "no"]]
    path = written(tmp_path / "u.csv", rows)
    known = {"numeric": columns.number_names, "categorical": columns.word_names, "columns": ["age", "job"]}
    x, y = train(table_csv(path=path, target="pay", task="classification", classes=["no", "yes"], **known))  # type: ignore[arg-type]
    assert columns.encode(x).tolist() == columns.encode(Table(torch.full((1, 1), torch.nan), [["7"]], x.names)).tolist()
    assert y.tolist() == [0]
    rows[0][2] = "years"
    with pytest.raises(ValueError, match=r"data\.columns=age: u\.csv has the columns job, id, years, pay"):
        table_csv(path=written(tmp_path / "u.csv", rows), target="pay", classes=["no", "yes"], **known)  # type: ignore[arg-type]
