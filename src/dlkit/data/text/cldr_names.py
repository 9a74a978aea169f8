"""Which language is this name written in? Names from the Unicode CLDR, shipped with dlkit."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import torch

from dlkit.data.examples import Examples
from dlkit.data.raw import Texts

FILE = Path(__file__).parent / "shipped" / "cldr_names.csv.gz"  # made by scripts/make_cldr_names.py
LANGUAGES = {  # by code: the classes, in order of code
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sv": "Swedish",
    "tr": "Turkish",
}


def cldr_names() -> Examples:
    """10,707 names of languages, territories and currencies in 15 Latin-script languages; the class is the language.

    486 (Danish) to 999 (Czech) names of each, 2 to 63 characters long, case and accents as written. A name that two of
    the languages share, in whatever case, is left out of both, so every name has one right answer. The roots of names
    are shared: what tells is spelling and endings. Source: Unicode CLDR 47, through Babel 2.18;
    its licence lies beside the file (shipped/UNICODE-LICENSE).
    """
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    codes = list(LANGUAGES)
    labels = torch.tensor([codes.index(code) for code, _ in rows])
    texts = Texts([name for _, name in rows])
    return Examples("text", "classification", {"train": (texts, labels)}, tuple(LANGUAGES.values()))
