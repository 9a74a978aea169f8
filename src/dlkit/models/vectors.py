"""Word vectors: as a layer that learns them, or read from a file that holds them (GloVe, word2vec, fastText)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from math import isfinite, sqrt
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlkit.log import log
from dlkit.types import Spec

SHOWN = 20  # broken lines told one by one


class Words(nn.Module):
    """Tokens (B, T) to vectors (B, T, E); padding is and stays zeros.

    Dropout acts on single numbers (`dropout`) and on whole words (`word_dropout`).
    """

    def __init__(self, embedding: nn.Embedding, dropout: float = 0.0, word_dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = embedding
        self.width = embedding.embedding_dim
        self.word_dropout = nn.Dropout1d(word_dropout) if word_dropout else None  # its channels are the steps here
        self.dropout = nn.Dropout(dropout) if dropout else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.embedding(x)
        if self.word_dropout is not None:
            out = self.word_dropout(out)
        return out if self.dropout is None else self.dropout(out)


def embedding(
    spec: Spec, size: int, spread: float, vectors: str | None = None, freeze: bool = False, more: int = 0
) -> nn.Embedding:
    """A vector for every token and for `more` besides: U(−spread, spread); tokens 0 and 1, padding and unknown, zeros.

    `vectors` is a file that gives those of the words it knows, and the size. The others then are uniform with the
    variance of those read, as of Kim (2014, section 4.2). `freeze` leaves all as they are. Raises ValueError where the
    file cannot be used.
    """
    assert spec.vocab_size is not None
    if freeze and vectors is None:
        raise ValueError("model.freeze_vectors=true: there are none to freeze; name their file, model.vectors=FILE")
    rows: dict[int, list[float]] = {}
    if vectors is not None:
        rows, size = _of_words(spec, Path(vectors).expanduser())
        values = torch.tensor(list(rows.values()))
        spread = sqrt(3) * values.std().item()  # a is √3 standard deviations of U(−a, a)
    layer = nn.Embedding(spec.vocab_size + more, size, padding_idx=0)
    with torch.no_grad():
        layer.weight.uniform_(-spread, spread)
        layer.weight[:2] = 0  # padding; and the unknown word, which says nothing until it has been trained
        if rows:
            layer.weight[list(rows)] = values
    layer.weight.requires_grad_(not freeze)
    return layer


def _of_words(spec: Spec, path: Path) -> tuple[dict[int, list[float]], int]:
    """The file's vectors of the words of the vocabulary, by token, and their size."""
    if not spec.vocabulary:
        raise ValueError("model.vectors: the tokens of this data are no words; use data.tokenizer=word, or null")
    numbers = {word.encode(): token for token, word in enumerate(spec.vocabulary) if token}
    found = read(path, numbers)
    if not found.rows:
        raise ValueError(f"model.vectors={path}: holds none of the {len(numbers):,} words of the vocabulary")
    log.info("vectors %s: %d numbers each, for %d of %d words", path, found.size, len(found.rows), len(numbers))
    return {numbers[word]: row for word, row in found.rows.items()}, found.size


class Found(NamedTuple):
    rows: dict[bytes, list[float]]
    size: int  # numbers of a vector


def read(path: Path, wanted: Iterable[bytes]) -> Found:
    """The vectors of the `wanted` words in a text file, .gz too: a word and its numbers a line, parted by blanks.

    The first line may be word2vec's, how many words and numbers. Of a word that comes twice the first counts. Lines of
    other words are not looked at, so that a large file is read as fast as it is unpacked. Words are compared as bytes:
    some files hold broken UTF-8, and words with Unicode's line ends in them. Raises ValueError with every line whose
    numbers are too few, too many, or none.
    """
    if not path.is_file():
        raise ValueError(
            f"model.vectors={path}: there is no such file (a model whose weights are loaded needs none: "
            "model.vectors=null, and model.embedding_size that of its vectors)"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _found(path, enumerate(file, start=1), set(wanted))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"model.vectors={path}: cannot be unpacked: {error}") from error


def _found(path: Path, lines: Iterator[tuple[int, bytes]], wanted: set[bytes]) -> Found:
    """The rows of wanted words in numbered lines."""
    rows: dict[bytes, list[float]] = {}
    problems: list[str] = []
    lines, size = _header(path, lines)
    for number, line in lines:
        word = line.partition(b" ")[0]
        if word not in wanted or word in rows:
            continue
        fields = line.split()[1:]
        if len(fields) > size and not _is_number(fields[0]):
            continue  # a name with a blank in it, which begins with one of our words
        if why := _wrong(fields, size):
            problems.append(f"{path}:{number}: {why}")
        else:
            rows[word] = list(map(float, fields))
    if problems:
        more = [f"… and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
        raise ValueError("\n".join([f"model.vectors={path}:", *problems[:SHOWN], *more]))
    return Found(rows, size)


def _header(path: Path, lines: Iterator[tuple[int, bytes]]) -> tuple[Iterator[tuple[int, bytes]], int]:
    """The lines that hold words, and how many numbers each has. Raises ValueError where the first has none."""
    first = next(lines, (1, b""))
    fields = first[1].split()
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit() and int(fields[1]):
        return lines, int(fields[1])
    if len(fields) < 2 or _wrong(fields[1:], len(fields) - 1):
        raise ValueError(f"{path}:1: expected a word and its numbers, or how many words and numbers there are")
    return chain([first], lines), len(fields) - 1


def _wrong(fields: list[bytes], size: int) -> str:
    """Why the fields are not so many numbers; empty where they are."""
    if len(fields) != size:
        return f"expected {size} numbers, found {len(fields)}"
    bad = [field for field in fields if not _is_number(field)]
    return f"{bad[0].decode(errors='replace')} is no finite number" if bad else ""


def _is_number(field: bytes) -> bool:
    try:
        return isfinite(float(field))
    except ValueError:
        return False
