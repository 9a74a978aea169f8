"""The worst errors of a trained model, as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkit.answers import Row


def write_csv(
    path: Path, rows: list[Row], *, names: Sequence[str] | None = None, texts: Sequence[str] | None = None
) -> None:
    """Writes the rows, UTF-8; `names` (where each comes from) and `texts` are parallel to them. No rows: an empty
    table."""
    columns: dict[str, Sequence[Any]] = {"name": names} if names is not None else {}
    columns |= {key: [row[key] for row in rows] for key in (rows[0] if rows else ("index", "true", "predicted"))}
    columns |= {"text": texts} if texts is not None else {}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
