"""Tables and lists of a page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; it is sorted by `value`, if that is not its text."""

    text: str
    value: float | None = None
    kind: str = ""  # its CSS class
    link: str = ""

    @classmethod
    def number(cls, text: str, value: float | None = None) -> Cell:
        """On the right, in digits of one width."""
        return cls(text, value, "n")

    def html(self) -> str:
        kind = f' class="{self.kind}"' if self.kind else ""
        value = "" if self.value is None else f' data-v="{self.value}"'
        inside = html.escape(self.text)
        return f"<td{kind}{value}>" + (f'<a href="{html.escape(self.link)}">{inside}</a>' if self.link else inside)


def table(rows: Sequence[dict[str, Cell]], kinds: Iterable[str] = ()) -> str:
    """Rows, each with the same columns; those empty in all rows are left out. `kinds` are CSS classes of the rows."""
    columns = [column for column in rows[0] if any(row[column].text for row in rows)]
    head = "".join(
        f"<th{' class=n' if rows[0][column].kind == 'n' else ''}><button>{html.escape(column)}</button>"
        for column in columns
    )
    starts = [f'<tr class="{kind}">' if kind else "<tr>" for kind in kinds] or ["<tr>"] * len(rows)
    lines = (start + "".join(row[column].html() for column in columns) for start, row in zip(starts, rows, strict=True))
    body = "\n".join(lines)
    return f'<div class="table" tabindex="0"><table><thead><tr>{head}</thead><tbody>\n{body}\n</tbody></table></div>'


def listed(items: Iterable[str], kind: str = "") -> str:
    """A list of what is HTML already."""
    start = f'<ul class="{kind}">' if kind else "<ul>"
    return start + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
