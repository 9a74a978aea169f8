"""Small files in the layouts of the known text sets."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

WORDS = ["film", "plot", "scene", "voice", "score", "light", "colour", "silence", "laughter", "boredom"]
POST = """From: {name}
Subject: about {word}

In article <1@x> eve wrote:
> something quoted
the {word} of number {i}

--
{name}
"""


def sentence(i: int) -> str:
    """A few words, others for each number."""
    return " ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(1, 3 + i % 5))


def write_text_sets(root: Path, train: int = 167, test: int = 20) -> None:
    """All of them, with so many examples in a split."""
    sizes = {"train": train, "test": test}
    _write(root / "ag_news", {f"{split}.csv": _news(count) for split, count in sizes.items()})
    _write(
        root / "sst2", {f"stsa.binary.{name}": _labelled(sizes.get(name, test)) for name in ("train", "dev", "test")}
    )
    _write(root / "mr", {f"rt-polarity.{name}": _sentences(train // 2 + 21) for name in ("pos", "neg")})
    _write(root / "trec", {"train_5500.label": _questions(train), "TREC_10.label": _questions(test)})
    posts = {
        f"20news-bydate-{split}/{['rec.autos', 'sci.med', 'sci.space'][i % 3]}/{i:05}": _post(i)
        for split, count in sizes.items()
        for i in range(count)
    }
    write_archive(root / "20news" / "20news-bydate.tar.gz", posts)
    reviews = {
        f"aclImdb/{split}/{('neg', 'pos')[i % 2]}/{i}_{1 + 9 * (i % 2)}.txt": f"{sentence(i)}<br /><br />end"
        for split, count in sizes.items()
        for i in range(count)
    }
    write_archive(
        root / "imdb" / "aclImdb_v1.tar.gz", reviews | {"aclImdb/train/unsup/0_0.txt": "x", "aclImdb/README": "x"}
    )


def write_archive(path: Path, files: dict[str, str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode(encoding)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")


def _news(count: int) -> str:
    return "".join(f'"{1 + i % 4}","A ""{WORDS[i % 10]}""","said\\{sentence(i)}, today"\n' for i in range(count))


def _labelled(count: int) -> str:
    return "".join(f"{i % 2} {sentence(i)}\n" for i in range(count))


def _sentences(count: int) -> str:
    return "".join(f"{sentence(i)} \n" for i in range(count))


def _questions(count: int) -> str:
    kinds = ["ABBR:exp", "DESC:def", "ENTY:animal", "HUM:ind", "LOC:city", "NUM:date"]
    return "".join(f"{kinds[i % 6]} What is {sentence(i)} ?\n" for i in range(count))


def _post(i: int) -> str:
    return POST.format(i=i, name=f"user{i}", word=WORDS[i % 10])
