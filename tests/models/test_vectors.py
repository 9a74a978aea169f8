"""Word vectors from files: the formats that there are, and files that are broken."""

from __future__ import annotations

import gzip
import logging
import re
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from dlkit.models.cnn_text import cnn_text
from dlkit.models.fasttext import fasttext
from dlkit.models.recurrent_text import recurrent_text
from dlkit.models.vectors import Words, embedding, read
from dlkit.settings import config_folder
from dlkit.types import Spec

VOCABULARY = ("", "<unk>", "the", "cat", "café", "sat", "at")
SPEC = Spec("tokens", (5,), 2, "classification", vocab_size=len(VOCABULARY), vocabulary=VOCABULARY)
ROWS = "the 0.5 -1 2\ndog 1 1 1\ncat 3e-1 .25 -0.125\ncafé 1 2 3\n"
FORMATS = {
    "GloVe": ROWS,
    "word2vec": f"4 3\n{ROWS}",
    "fastText, blanks at the ends": f"4 3\n{ROWS}".replace("\n", " \n"),
    "from Windows": ROWS.replace("\n", "\r\n"),
    "without a last line end": ROWS.rstrip(),
}


def file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_rows_of_known_words(text: str, packed: bool, tmp_path: Path) -> None:
    path = file(tmp_path, text)
    if packed:
        path = tmp_path / "vectors.vec.gz"
        path.write_bytes(gzip.compress(text.encode()))
    layer = embedding(SPEC, 99, 0.25, str(path))
    assert layer.weight.shape == (7, 3)
    assert layer.weight[2].tolist() == [0.5, -1, 2]
    torch.testing.assert_close(layer.weight[3].tolist(), [0.3, 0.25, -0.125])
    assert layer.weight[4].tolist() == [1, 2, 3]
    assert layer.weight[0].tolist() == [0, 0, 0]
    assert layer.weight.requires_grad


def test_words_that_the_file_has_not_are_uniform_with_the_variance_of_those_it_has(tmp_path: Path) -> None:
    words = ("", "<unk>", *(f"w{i}" for i in range(2000)))
    spec = Spec("tokens", (5,), 2, "classification", vocab_size=len(words), vocabulary=words)
    read_in = 0.4 * torch.randn(200, 10)
    lines = [f"w{i} {' '.join(map(str, row))}" for i, row in enumerate(read_in.tolist())]
    layer = embedding(spec, 10, 0.25, str(file(tmp_path, "\n".join(lines))))
    torch.testing.assert_close(layer.weight[2:202].data, read_in)
    others = torch.cat([layer.weight[1:2], layer.weight[202:]])
    assert others.std().item() == pytest.approx(read_in.std().item(), rel=0.02)
    assert others.abs().max() <= 3**0.5 * read_in.std() * 1.0001


def test_how_many_words_were_found_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dlkit"):
        embedding(SPEC, 99, 0.25, str(file(tmp_path, ROWS)))
    assert caplog.messages[-1].endswith("vectors.txt: 3 numbers each, for 3 of 6 words")


def test_without_a_file_vectors_are_uniform_in_their_range_and_padding_is_zero() -> None:
    layer = embedding(Spec("tokens", (5,), 2, "classification", vocab_size=1000), 20, 0.25)
    assert not layer.weight[0].any()
    assert 0.249 < layer.weight.abs().max() <= 0.25
    assert layer.weight[1:].std().item() == pytest.approx(0.25 / 3**0.5, rel=0.02)


def test_the_first_of_two_vectors_of_a_word_counts_and_names_with_blanks_are_no_words(tmp_path: Path) -> None:
    text = "the 1 2\nthe 3 4\nat name@domain.com 5 6\nat 7 8\nof\u00a0the 9 9\nline\u2028end 9 9\n"
    found = read(file(tmp_path, text), [word.encode() for word in VOCABULARY])
    assert found.rows == {b"the": [1, 2], b"at": [7, 8]}
    assert found.size == 2


def test_broken_utf8_in_words_that_are_not_ours_does_no_harm(tmp_path: Path) -> None:
    found = read(file(tmp_path, b"\xff\xfe 1 2\nthe 3 4\n"), [b"the"])
    assert found.rows == {b"the": [3, 4]}


def test_all_broken_lines_are_named_at_once(tmp_path: Path) -> None:
    path = file(tmp_path, "the 1 2 3\ncat 1 2\nsat 1 2 3 4\nat 1 x 3\ncafé 1 nan 3\n")
    with pytest.raises(ValueError) as refusal:
        embedding(SPEC, 3, 0.25, str(path))
    assert str(refusal.value).splitlines() == [
        f"model.vectors={path}:",
        f"{path}:2: expected 3 numbers, found 2",
        f"{path}:3: expected 3 numbers, found 4",
        f"{path}:4: x is no finite number",
        f"{path}:5: nan is no finite number",
    ]


def test_of_many_broken_lines_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(50)]
    path = file(tmp_path, "the 1 2\n" + "".join(f"{word} 1\n" for word in words))
    with pytest.raises(ValueError) as refusal:
        read(path, map(str.encode, words))
    assert len(str(refusal.value).splitlines()) == 22
    assert str(refusal.value).endswith("… and 30 more")


WRONG = [
    ("", r"vectors.txt:1: expected a word and its numbers"),
    ("PK\x03\x04 binary stuff\n", r"vectors.txt:1: expected a word and its numbers"),
    ("dog 1 2\n", "holds none of the 6 words of the vocabulary"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_file_of_another_kind_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        embedding(SPEC, 3, 0.25, str(file(tmp_path, text)))


@pytest.mark.parametrize("cut", [6, -5])
def test_an_archive_that_is_damaged_is_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 50)[:cut])
    with pytest.raises(ValueError, match=re.escape(f"model.vectors={path}: cannot be unpacked")):
        embedding(SPEC, 3, 0.25, str(path))
    path.write_bytes(ROWS.encode())
    with pytest.raises(ValueError, match="cannot be unpacked: Not a gzipped file"):
        embedding(SPEC, 3, 0.25, str(path))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.txt: there is no such file"):
        embedding(SPEC, 3, 0.25, str(tmp_path / "nowhere.txt"))
    with pytest.raises(ValueError, match=r"freeze_vectors=true: there are none to freeze"):
        embedding(SPEC, 3, 0.25, freeze=True)
    characters = Spec("tokens", (5,), 2, "classification", vocab_size=7)
    with pytest.raises(ValueError, match="the tokens of this data are no words"):
        embedding(characters, 3, 0.25, str(file(tmp_path, ROWS)))


@pytest.mark.parametrize("frozen", [False, True])
def test_models_begin_with_the_vectors_and_train_them_unless_frozen(frozen: bool, tmp_path: Path) -> None:
    path = str(file(tmp_path, ROWS))
    for make in (recurrent_text, cnn_text):
        model = make(SPEC, 2, vectors=path, freeze_vectors=frozen)
        table = model.words.embedding  # type: ignore[union-attr]
        assert table.weight[2].tolist() == [0.5, -1, 2]  # type: ignore[union-attr, index]
        model(torch.tensor([[2, 3, 1]])).sum().backward()
        assert (table.weight.grad is None) == frozen  # type: ignore[union-attr]
        assert sum(p.requires_grad for p in model.parameters()) == len(list(model.parameters())) - frozen


def test_fasttext_takes_the_words_vectors_and_draws_those_of_ngrams(tmp_path: Path) -> None:
    model = fasttext(SPEC, 2, vectors=str(file(tmp_path, ROWS)), buckets=50)
    weight = model.embedding.weight  # type: ignore[union-attr]
    assert weight.shape == (57, 3)  # type: ignore[union-attr]
    assert weight[4].tolist() == [1, 2, 3]  # type: ignore[index]
    assert weight[7:].std() > 0.1  # type: ignore[index]


def test_dropout_zeroes_single_numbers_or_whole_words_and_keeps_the_mean() -> None:
    table = embedding(Spec("tokens", (5,), 2, "classification", vocab_size=10), 40, 0.25)
    x = torch.randint(2, 10, (50, 30))
    plain = Words(table)(x)
    whole = Words(table, word_dropout=0.3)(x)
    dropped = (whole == 0).all(-1)
    assert 0.25 < dropped.float().mean() < 0.35
    torch.testing.assert_close(whole[~dropped], plain[~dropped] / 0.7)
    single = Words(table, dropout=0.3)(x)
    assert 0.28 < (single == 0).float().mean() < 0.32
    assert torch.equal(Words(table, 0.3, 0.3).eval()(x), plain)


@pytest.mark.parametrize("model", ["lstm_text", "cnn_text", "fasttext"])
def test_configs_offer_the_vectors(model: str) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        assert compose("train", [f"model={model}"]).model.vectors is None


def test_an_unknown_word_says_nothing_before_it_has_been_trained() -> None:
    table = embedding(Spec("tokens", (5,), 2, "classification", vocab_size=10), 4, 0.25)
    assert not Words(table)(torch.tensor([[1, 0]])).any()
    assert Words(table)(torch.tensor([[2]])).all()
