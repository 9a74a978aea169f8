"""Make the names that `data=cldr_names` reads: `pip install babel==2.18.0`, then `python scripts/make_cldr_names.py`.

Takes the names of languages, territories and currencies from Babel's copy of the Unicode CLDR, leaves out those that
two of the languages share, and writes them, sorted, with the Unicode licence beside them. The same Babel gives the
same file.
"""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from collections import Counter
from pathlib import Path

import babel

from dlkit.data.text.cldr_names import FILE, LANGUAGES

BABEL = "2.18.0"  # the release whose names are shipped


def names(code: str) -> list[str]:
    """What one language calls them, composed (NFC) and trimmed; of names that differ in case alone, the first."""
    locale = babel.Locale.parse(code)
    found = [name for kind in (locale.languages, locale.territories, locale.currencies) for name in kind.values()]
    composed = {unicodedata.normalize("NFC", name).strip() for name in found}
    return sorted({key(name): name for name in sorted(composed, reverse=True)}.values())


def key(name: str) -> str:
    """Two names are the same where this is."""
    return name.casefold()


def rows() -> list[tuple[str, str]]:
    """(language code, name), sorted; names that two languages share left out."""
    by_language = {code: names(code) for code in LANGUAGES}
    uses = Counter(key(name) for found in by_language.values() for name in found)
    return [(code, name) for code, found in sorted(by_language.items()) for name in found if uses[key(name)] == 1]


def text() -> str:
    """The rows as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows())
    return out.getvalue()


def main() -> None:
    """Writes the file and the licence."""
    if babel.__version__ != BABEL:
        raise SystemExit(f"Babel {babel.__version__}: the shipped names are those of {BABEL}")
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("wb") as out, gzip.GzipFile("", "wb", mtime=0, fileobj=out) as compressed:  # no name, no time
        compressed.write(text().encode())
    licence = Path(babel.__file__).parent / "locale-data" / "LICENSE.unicode"
    (FILE.parent / "UNICODE-LICENSE").write_bytes(licence.read_bytes())
    counts = Counter(code for code, _ in rows())
    print(f"{FILE}: {sum(counts.values()):,} names, {dict(counts)}")


if __name__ == "__main__":
    main()
