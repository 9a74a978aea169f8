"""20 Newsgroups: posts of Usenet, with or without what gives their group away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dlkit.data.examples import Examples
from dlkit.data.text.archives import Archive, read_texts

BY_DATE = Archive(
    name="20news-bydate.tar.gz",
    folders=("20news-bydate-train", "20news-bydate-test"),
    files=re.compile(r"20news-bydate-(train|test)/([^/.][^/]*)/[^/.][^/]*"),
    encoding="latin-1",
    url="https://ndownloader.figshare.com/files/5975967",
    checksum="8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
)
QUOTING = ("writes in", "writes:", "wrote:", "says:", "said:")  # anywhere in a line that announces a quotation
QUOTED = ("In article", "Quoted from", "|", ">")  # at the beginning of a line that announces or is one

Part = Literal["headers", "footers", "quotes"]


def newsgroups20(
    *,
    root: str,
    download: bool = False,
    remove: Sequence[Part] = ("headers", "footers", "quotes"),
    cache: str | None = None,
) -> Examples:
    """20 Newsgroups by date (Lang 1995): 11,314 + 7,532 posts to 20 groups, the test posts later than the others.

    From root/20news/20news-bydate.tar.gz or what it holds, unpacked beside it. `remove` leaves out, by the rules of
    scikit-learn's `fetch_20newsgroups` and with the same result, what tells the group without its topic. A post of
    which nothing is left stays, empty: 300 in training, 215 in test with all three removed.
    """
    parts = tuple(part for part in ("headers", "footers", "quotes") if part in remove)
    folder = Path(root).expanduser() / "20news"
    examples = read_texts(BY_DATE, folder, download, cache, lambda post: without(post, parts), f"without {parts}")
    empty = sum(not text.strip() for x, _ in examples.splits.values() for text in x.texts)
    notes = (f"{empty:,} posts are empty without {', '.join(parts)} (data.remove)",) if empty else ()
    return replace(examples, notes=notes)


def without(post: str, parts: Sequence[str]) -> str:
    """A post without its headers, then without its signature, then without the lines it quotes."""
    if "headers" in parts:
        post = post.partition("\n\n")[2]  # what follows the first empty line
    if "footers" in parts:
        post = _without_footer(post)
    if "quotes" in parts:
        post = "\n".join(line for line in post.split("\n") if not _is_quote(line))
    return post


def _without_footer(post: str) -> str:
    """Without what follows the last line that is empty or only hyphens, and without that line."""
    lines = post.strip().split("\n")
    for last in range(len(lines) - 1, 0, -1):
        if not lines[last].strip().strip("-"):
            return "\n".join(lines[:last])
    return post


def _is_quote(line: str) -> bool:
    return line.startswith(QUOTED) or any(words in line for words in QUOTING)
