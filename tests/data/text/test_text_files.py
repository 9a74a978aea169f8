import gzip
import json

import pytest
import torch
from builders import resident

from dlkit.cli import preflight
from dlkit.data.text.files import text_csv, text_folder
from dlkit.data.text.tokens import Tokens
from dlkit.settings import config_folder

ROWS = [("good film", "pos"), ("bad film", "neg"), ("fine, really", "pos"), ("so so\nat best", "neg")]


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"'


def table(mark, rows=ROWS, header=("review", "verdict")):
    return "".join(mark.join(map(quoted, row)) + "\n" for row in ([header] if header else []) + list(rows))


def write(folder, content, name="texts.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(folder, content, name="texts.csv", text="review", label="verdict", **options):
    return text_csv(path=write(folder, content, name), text=text, label=label, **options)


def pairs(examples, split="train"):
    x, y = examples.splits[split]
    return list(zip(x.texts, [examples.classes[label] for label in y], strict=True))


def message(make):
    with pytest.raises(ValueError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(("name", "mark"), [("x.csv", ","), ("x.csv", ";"), ("x.tsv", "\t"), ("x.txt", "|")])
@pytest.mark.parametrize("compressed", [False, True])
def test_tables_of_texts_are_read_whatever_parts_their_columns(tmp_path, name, mark, compressed):
    content = table(mark).encode()
    examples = read(tmp_path, gzip.compress(content) if compressed else content, name + ".gz" * compressed)
    assert pairs(examples) == ROWS
    assert examples.classes == ("neg", "pos") and examples.notes == ()


def test_json_lines_are_read(tmp_path):
    lines = [json.dumps({"verdict": label, "review": text, "stars": 3}) for text, label in ROWS]
    assert pairs(read(tmp_path, "\n".join(lines), "texts.jsonl")) == ROWS


def test_columns_are_named_by_number_where_there_is_no_header(tmp_path):
    assert pairs(read(tmp_path, table(",", header=None), text=0, label=1)) == ROWS


def test_a_header_can_be_denied_or_told(tmp_path):
    rows = [("a", "b"), *ROWS, ("c", "b")]
    assert pairs(read(tmp_path, table(",", rows, None), text=0, label=1, header=False)) == rows
    assert pairs(read(tmp_path, table(","), text=0, label=1, header=True)) == ROWS


def test_several_columns_are_joined_by_a_space(tmp_path):
    rows = [("1", "Title", " body "), ("2", "", "body"), ("1", "Title", ""), ("2", "a", "b")]
    examples = read(tmp_path, table(",", rows, None), text=[1, 2], label=0)
    assert examples.splits["train"][0].texts == ["Title body", "body", "Title", "a b"]


def test_quotation_marks_are_plain_characters_without_quoting(tmp_path):
    content = 'review\tverdict\n"so called" art\ta\n" open\tb\n"\ta\nx\tb\n'
    examples = read(tmp_path, content, "x.tsv", quoting=False)
    assert examples.splits["train"][0].texts == ['"so called" art', '" open', '"', "x"]


def test_encodings_other_than_utf_8_are_read(tmp_path):
    rows = [("schön", "ä"), ("öde", "ö"), ("größer", "ä"), ("über", "ö")]
    for encoding in ("latin-1", "utf-16"):
        assert pairs(read(tmp_path, table(",", rows).encode(encoding), encoding=encoding)) == rows
    assert pairs(read(tmp_path, table(",", rows).encode("utf-8-sig"))) == rows


def test_classes_are_numbers_by_size_or_words_by_letter(tmp_path):
    rows = [("x", label) for label in ("10", "9", "2", "10", "2", "9")]
    assert read(tmp_path, table(",", rows)).classes == ("2", "9", "10")


def test_splits_come_from_files(tmp_path):
    val = write(tmp_path, table(",", [("meh", "neg"), ("wow", "pos")]), "val.csv")
    other_order = write(
        tmp_path, table(",", [("pos", "x", "ah"), ("neg", "y", "oh")], ("verdict", "id", "review")), "t.csv"
    )
    examples = read(tmp_path, table(","), val_path=val, test_path=other_order)
    assert pairs(examples) == ROWS
    assert pairs(examples, "val") == [("meh", "neg"), ("wow", "pos")]
    assert pairs(examples, "test") == [("ah", "pos"), ("oh", "neg")]


def test_splits_come_from_a_column(tmp_path):
    words = ["train", "Training", "TRAIN", "train", "Valid", "dev", "test"]
    rows = [(f"text {i}", "ab"[i % 2], word) for i, word in enumerate(words)]
    examples = read(tmp_path, table(",", rows, ("review", "verdict", "part")), split="part")
    assert {name: len(y) for name, (_, y) in examples.splits.items()} == {"train": 4, "val": 2, "test": 1}
    assert examples.splits["val"][0].texts == ["text 4", "text 5"]


def test_rows_of_a_group_stay_in_one_split(tmp_path):
    rows = [(f"text {i}", "ab"[i % 2], "wxyz"[i // 2 % 4]) for i in range(40)]
    examples = read(tmp_path, table(",", rows, ("review", "verdict", "author")), group="author")
    assert examples.groups.tolist() == [i // 2 % 4 for i in range(40)]
    data = resident(examples, encoder=Tokens(), test_fraction=0.25, val_fraction=0.25, batch_size=10)
    assert data.split_sizes == {"train": 20, "val": 10, "test": 10}


def test_groups_and_splits_can_both_be_columns(tmp_path):
    rows = [("t", "a", "x", "train"), ("t", "b", "y", "train"), ("t", "a", "x", "train"), ("t", "b", "z", "train")]
    rows.append(("t", "a", "w", "test"))
    examples = read(tmp_path, table(",", rows, ("review", "verdict", "who", "part")), group="who", split="part")
    assert examples.groups.tolist() == [0, 1, 0, 2] and len(examples.splits["test"][1]) == 1


BAD = """review,verdict
good,a
,a
good,
bad,b
one,two,three
alone
only,c
bad,b
good,a
"""


def test_every_bad_row_is_told_with_its_line_at_once(tmp_path):
    path = tmp_path / "texts.csv"
    assert message(lambda: read(tmp_path, BAD)).splitlines() == [
        "5 problems in the data (data.on_error=skip leaves them out):",
        f"{path}:6: 3 cells, expected 2",
        f"{path}:7: 1 cells, expected 2",
        f"{path}:3: review empty",
        f"{path}:4: verdict empty",
        f"{path}:8: class 'c' has this one training row only; two are needed",
    ]


def test_bad_rows_are_left_out_and_counted_where_the_user_says_so(tmp_path):
    examples = read(tmp_path, BAD, on_error="skip")
    assert pairs(examples) == [("good", "a"), ("bad", "b"), ("bad", "b"), ("good", "a")]
    assert examples.classes == ("a", "b")
    assert len(examples.notes) == 5
    assert [note for note in examples.notes if note.startswith("left out 1: review empty; first ")]


def test_a_class_that_training_does_not_have_is_told_by_line(tmp_path):
    test = write(tmp_path, table(",", [("x", "pos"), ("y", "neutral")]), "test.csv")
    assert f"{test}:3: class 'neutral' is in no training row" in message(
        lambda: read(tmp_path, table(","), test_path=test)
    )
    examples = read(tmp_path, table(","), test_path=test, on_error="skip")
    assert pairs(examples, "test") == [("x", "pos")]


def test_bytes_that_are_not_in_the_encoding_are_told_by_line(tmp_path):
    content = table(",").encode() + "schön,pos\n".encode("latin-1")
    assert f"{tmp_path / 'texts.csv'}:7: not in utf-8" in message(lambda: read(tmp_path, content))
    assert pairs(read(tmp_path, content, on_error="skip")) == ROWS


def test_broken_json_is_told_by_line(tmp_path):
    good = [json.dumps({"review": text, "verdict": label}) for text, label in ROWS]
    bad = ['{"review": "x"', "[1, 2]", '{"verdict": "pos"}', '{"review": "\\ud83d", "verdict": "pos"}']
    path, lines = tmp_path / "x.jsonl", message(lambda: read(tmp_path, "\n".join(good + bad), "x.jsonl"))
    for line, why in ((5, "not an object"), (6, "not an object"), (7, "review empty"), (8, "half a character")):
        assert f"{path}:{line}: {why}" in lines


def test_a_quotation_mark_that_is_never_closed_is_told_where_it_opens(tmp_path):
    content = table(",") + 'x,"pos\ny,neg\n'
    assert f"{tmp_path / 'texts.csv'}:7: unexpected end of data (data.quoting=false" in message(
        lambda: read(tmp_path, content)
    )


def test_an_unknown_split_is_told_by_line(tmp_path):
    rows = [(*row, "train") for row in ROWS] + [("x", "pos", "holdout")]
    content = table(",", rows, ("review", "verdict", "part"))
    expected = f"{tmp_path / 'texts.csv'}:7: split 'holdout', expected train, val or test"
    assert expected in message(lambda: read(tmp_path, content, split="part"))


def test_a_wrong_column_is_one_line_with_the_columns_there_are(tmp_path):
    line = message(lambda: read(tmp_path, table(","), text="reviews"))
    assert line == "data.text=reviews: texts.csv has the columns review, verdict; did you mean review?"
    assert "data.label=5: texts.csv has" in message(lambda: read(tmp_path, table(","), label=5))


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"", "x.csv", "no rows in this file"),
        (b"", "x.jsonl", "no rows in this file"),
        (b"review,verdict\n", "x.csv", "no rows"),
        (b"review,verdict\nx,a\ny,a\n", "x.csv", "data.label=verdict: 1 classes with two or more training rows"),
        (b"review,verdict\nx,a\ny,b\nz,c\n", "x.csv", "data.label=verdict: another one in each of 3 training rows"),
        (b"PK\x03\x04\0\0\0\0review,verdict", "x.csv", "it is no text"),
        (b"\x1f\x8b\x08\0rest", "x.csv.gz", "damaged or not readable"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, content, name, expected):
    line = message(lambda: read(tmp_path, content, name))
    assert expected in line and "\n" not in line


def test_mistakes_in_the_options_are_one_line(tmp_path):
    assert message(lambda: text_csv(path="none.csv", text=0, label=1)) == "data.path=none.csv: no such file"
    assert "data.encoding=utf-9: no such encoding" in message(lambda: read(tmp_path, table(","), encoding="utf-9"))
    assert "data.text=[]" in message(lambda: read(tmp_path, table(","), text=[]))
    assert "data.split" in message(lambda: read(tmp_path, table(","), split="part", val_path="val.csv"))


def make(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


FILES = {"pos/a.txt": "good", "pos/b.TXT": "fine", "neg/a.txt": "bad", "neg/deep/b.txt": "poor"}


def test_a_folder_of_text_files_for_each_class_is_read(tmp_path):
    examples = text_folder(root=make(tmp_path, {**FILES, ".DS_Store": "x", "pos/.hidden": "x", "README": "x"}))
    assert pairs(examples) == [("bad", "neg"), ("poor", "neg"), ("good", "pos"), ("fine", "pos")]


def test_a_folder_can_have_splits(tmp_path):
    files = {f"train/{name}": text for name, text in FILES.items()} | {"Dev/pos/c.txt": "ok", "test/neg/d.txt": "no"}
    examples = text_folder(root=make(tmp_path, files))
    assert len(pairs(examples)) == 4
    assert pairs(examples, "val") == [("ok", "pos")] and pairs(examples, "test") == [("no", "neg")]


def test_every_bad_file_is_told_by_its_path_or_left_out(tmp_path):
    bad = {
        "pos/c.txt": "",
        "pos/d.txt": " \n",
        "pos/e.pdf": "x",
        "neg/f.txt": "schön".encode("latin-1"),
        "one/g.txt": "x",
        "pos/h.txt": "a\0b",
    }
    root = make(tmp_path, FILES | bad)
    lines = message(lambda: text_folder(root=root))
    for name, why in (
        ("pos/c.txt", "the file is empty"),
        ("pos/d.txt", "the text is empty"),
        ("pos/e.pdf", "not a .txt file"),
        ("neg/f.txt:1", "not in utf-8"),
        ("one/g.txt", "the only file of its class"),
        ("pos/h.txt", "holds zero bytes, so it is no text"),
    ):
        assert f"{tmp_path / name}: {why}" in lines
    examples = text_folder(root=root, on_error="skip")
    assert len(pairs(examples)) == 4 and len(examples.notes) == 6
    assert len(pairs(text_folder(root=root, on_error="skip", encoding="latin-1"))) == 5


def test_groups_are_found_in_the_paths(tmp_path):
    files = {f"{label}/{who}-{i}.txt": "x" for label in ("a", "b") for who in ("eve", "bob") for i in range(3)}
    examples = text_folder(root=make(tmp_path, files), group=r"/(\w+)-")
    assert examples.groups.tolist() == [0, 0, 0, 1, 1, 1] * 2


def test_the_command_line_knows_the_options_of_texts():
    def mistakes(*args):
        return preflight.check(list(args), config_folder()).mistakes

    lines = mistakes("data=text_csv", "data.text=3", "data.label=verdict", "data.tokenizer=words", "data.min_count=0")
    assert [line.split(":")[0] for line in sorted(lines)] == ["data.min_count=0", "data.path", "data.tokenizer=words"]
    assert "did you mean word?" in max(lines)
    assert mistakes("data=text_folder", "data.root=x", "data.max_length=20", "data.tokenizer=bpe") == []
    assert mistakes("data=text_csv", "data.path=x", "data.text=[title,3]", "data.label=0") == []


def test_a_batch_of_texts_is_padded_with_zeros_behind_each_text(tmp_path):
    rows = [("word " * (i % 7 + 1), "ab"[i % 2]) for i in range(64)]
    data = resident(read(tmp_path, table(",", rows)), encoder=Tokens(), batch_size=16)
    batch = next(data.train(0))
    lengths = (batch.x != 0).sum(1)
    assert batch.x.dtype == torch.int64 and batch.x.shape == (16, int(lengths.max()))
    assert torch.equal(batch.x != 0, torch.arange(batch.x.shape[1]) < lengths[:, None])


def test_named_classes_have_their_order_and_any_number_of_rows(tmp_path):
    examples = read(tmp_path, table(",", [("fine", "pos")]), classes=["pos", "neutral", "neg"])
    assert (pairs(examples), examples.classes) == ([("fine", "pos")], ("pos", "neutral", "neg"))
    rows = [("x", "1.0"), ("y", "2")]
    assert pairs(read(tmp_path, table(",", rows), classes=[2, 1])) == [("x", "1"), ("y", "2")]
    rows = [("x", "01"), ("y", "2")]
    assert pairs(read(tmp_path, table(",", rows), classes=["2", "01"])) == [("x", "01"), ("y", "2")]


def test_rows_and_files_of_classes_that_are_not_named_are_problems(tmp_path):
    stranger = "class 'neg' is none of pos, wolf"
    test = write(tmp_path, table(",", ROWS), "test.csv")
    lines = message(lambda: read(tmp_path, table(","), classes=["pos", "wolf"], test_path=test)).splitlines()
    path = tmp_path / "texts.csv"
    assert lines[1:] == [f"{place}:{line}: {stranger}" for place in (path, test) for line in (3, 5)]
    examples = read(tmp_path, table(","), classes=["pos", "wolf"], on_error="skip")
    assert len(pairs(examples)) == 2 and any(
        note.startswith(f"left out 2: {stranger}; first ") for note in examples.notes
    )
    assert "no rows are left" in message(lambda: read(tmp_path, table(","), classes=["a", "b"], on_error="skip"))
    root = make(tmp_path / "folder", FILES)
    assert f"neg/a.txt: {stranger}" in message(lambda: text_folder(root=root, classes=["pos", "wolf"]))
    assert text_folder(root=root, classes=["wolf", "pos"], on_error="skip").splits["train"][1].tolist() == [1, 1]


def test_texts_have_the_names_of_their_lines_or_files(tmp_path):
    test = write(tmp_path, table(",", [("x", "a")]), "test.csv")
    examples = read(tmp_path, BAD, on_error="skip", test_path=test)
    names = ("texts.csv:2", "texts.csv:5", "texts.csv:9", "texts.csv:10")
    assert examples.names == {"train": names, "test": ("test.csv:2",)}
    root = make(tmp_path / "folder", {**FILES, "neg/b.txt": " "})
    names = ("neg/a.txt", "neg/deep/b.txt", "pos/a.txt", "pos/b.TXT")
    assert text_folder(root=root, on_error="skip").names == {"train": names}
