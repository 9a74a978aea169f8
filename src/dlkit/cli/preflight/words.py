"""The closest word to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def closest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most similar of the words; None where none is similar."""
    matches = get_close_matches(word.lower(), list(words), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def did_you_mean(word: str, words: Iterable[str], before: str = "") -> str:
    """`; did you mean WORD?`, or nothing where none is similar."""
    match = closest(word, words)
    return f"; did you mean {before}{match}?" if match else ""


def similarity(a: str, b: str) -> float:
    """1 for equal words, 0 for words without a common letter."""
    return SequenceMatcher(None, a, b, autojunk=False).ratio()
