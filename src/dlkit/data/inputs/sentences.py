"""Texts: a line each, a file each, or from a column of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlkit.data.inputs.found import STANDARD_INPUT, Example, files, lines, why
from dlkit.data.inputs.rows import HALF, TABLES, Options, is_table, stream_rows
from dlkit.data.raw import Texts
from dlkit.data.reading.decoded import NoText, content, decoded
from dlkit.data.reading.problems import Problems
from dlkit.data.reading.rows import Column

WHOLE = ("text_folder", "imdb", "newsgroups20")  # sources whose files are a text each
ENDINGS = (".txt", ".txt.gz", *TABLES)


class Sentences:
    """Texts from files: of CSV, TSV and JSON lines the texts in `column`, else in the columns that the run learnt from;
    of other files a text a line or, where the model was trained on files of one text, the whole."""

    note = ""

    def __init__(self, source: Mapping[str, Any], column: Column | None):
        self.options = Options.of(source)
        self.whole = str(source.get("_target_", "")).rpartition(".")[2] in WHOLE
        self.encoding = self.options.encoding
        own = source.get("text") if column is None else column
        self.columns: list[Column] | None = None if own is None else [own] if isinstance(own, str | int) else list(own)
        self.asked = column is not None

    def stream(self, words: Sequence[str]) -> Iterator[Example]:
        """The texts of files, folders and, for "-", of standard input: a line each or, with a column, rows."""
        for path in files(words, ENDINGS):
            try:
                if is_table(path) or (path == STANDARD_INPUT and self.asked):
                    yield from self._rows(path)
                elif self.whole and path != STANDARD_INPUT:
                    yield Example(path, self._file(Path(path)))
                else:
                    yield from self._lines(path)
            except ValueError as error:
                yield Example(path, None, str(error).removeprefix(f"{path}: "))

    def several(self, value: Any) -> list[Any] | None:
        """The elements of a list, of Texts or of an array or pandas Series."""
        if isinstance(value, Texts):
            return value.texts
        if isinstance(value, list | tuple):
            return list(value)
        return list(value.tolist()) if getattr(value, "ndim", 0) == 1 else None

    def raw(self, value: Any) -> str:
        """The text itself."""
        if not isinstance(value, str):
            raise ValueError(f"a {type(value).__name__}: expected a text (str), or a list of texts")
        if HALF.search(value):
            raise ValueError("half a character in the text")
        return value

    def batch(self, raws: Sequence[str]) -> Texts:
        return Texts(raws)

    def _lines(self, path: str) -> Iterator[Example]:
        """A text a line; empty lines are passed over."""
        for number, line in enumerate(lines(path, self.encoding), start=1):
            if text := line.strip():
                bad = f"not in {self.encoding}" if HALF.search(text) else ""
                yield Example(f"{path}:{number}", None if bad else text, bad)

    def _file(self, path: Path) -> str:
        if not path.is_file():
            raise ValueError(why(IsADirectoryError() if path.is_dir() else FileNotFoundError()))
        try:
            text, undecodable = decoded(path, content(path, "file"), self.encoding, Problems("skip"))
        except NoText as error:
            raise ValueError(error.why) from error
        if undecodable or not text.strip():
            raise ValueError(f"not in {self.encoding}" if undecodable else "the text is empty")
        return text

    def _rows(self, path: str) -> Iterator[Example]:
        """The text of every row, joined from its columns."""
        rows = stream_rows(path, self.options, self.columns or ())
        places = [_place(rows.names, column) for column in self._chosen(rows.names)]
        for line, cells, wrong in rows.cells:
            text = " ".join(filter(None, (cells[place].strip() for place in places))) if not wrong else ""
            if not wrong:
                wrong = "the text is empty" if not text else "half a character in the text" if HALF.search(text) else ""
            yield Example(f"{path}:{line}", None if wrong else text, wrong)

    def _chosen(self, names: tuple[str, ...]) -> list[Column]:
        if self.columns is not None:
            return self.columns
        if len(names) == 1 or "text" in names:
            return ["text" if "text" in names else names[0]]
        raise ValueError(f"--column NAME says which column holds the text; there are {', '.join(names)}")


def _place(names: tuple[str, ...], column: Column) -> int:
    if isinstance(column, int) and 0 <= column < len(names):
        return column
    if str(column) in names:
        return names.index(str(column))
    raise ValueError(f"no column {column} (--column NAME); there are {', '.join(names)}")
