"""List runs, newest first: `dlkit list`, `dlkit list runs/ model=cnn 'test/accuracy>0.9' --sort test/accuracy`.

Words with =, !=, <, >, <= or >= are filters; quote those with < or >, which the shell would take. Their keys, and those
of --sort and --columns, are columns (status, model, seconds …), metrics (test/accuracy, with the best weights
best/test/accuracy), and every key of the config (optim.lr). A value may be a pattern: model='cnn*', tags=a. All other
words are folders, searched at any depth: outputs, sweeps with it, if there are none.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dlkit import records, runs
from dlkit.cli.arguments import Parser
from dlkit.cli.selection import Filter, check_keys, is_filter, ordered
from dlkit.mistakes import answered
from dlkit.records import HEADLINES, Record
from dlkit.rundir import shown
from dlkit.settings import as_text

Row = dict[str, Any]  # what is known of a run, by key
COLUMNS = ("when", "run", "status", "model", "data", "epochs", "metric", "val", "test", "seconds")
NARROW = ("when", "seconds", "epochs", "model", "data")  # left out first where the terminal is narrow
STYLES = {"running": "green", "interrupted": "yellow", "killed": "yellow", "failed": "red", "damaged": "red"}


def main(args: list[str] | None = None) -> None:
    """Prints the runs found as a table, or as JSON; exits with 2 for a mistake."""
    parser = Parser("list", __doc__)
    parser.add_argument("words", nargs="*", metavar="FOLDER|FILTER", help="where to look, and which runs to show")
    parser.add_argument("--sort", metavar="KEY", help="smallest first, those without it last")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("-n", type=int, metavar="N", help="show only the first N")
    parser.add_argument("--columns", default="", metavar="A,B", help="more columns, as in optim.lr,test/loss")
    parser.add_argument("--json", action="store_true", help="all that a list knows of a run, and the --columns")
    flags = parser.parse_args(args)
    with answered():
        filters = [Filter.of(word) for word in flags.words if is_filter(word)]
        folders = [existing(word) for word in flags.words if not is_filter(word)] or [runs.OUTPUTS]
        if flags.n is not None and flags.n < 1:
            raise ValueError(f"-n {flags.n}: must be at least 1")
        found = dict.fromkeys(run for place in folders for run in runs.all_runs(place))
        rows = [row(records.read(run)) for run in found]
        extra = [key for key in flags.columns.split(",") if key]
        chosen = select(rows, filters, flags.sort, extra, flags.reverse)[: flags.n]
        if flags.json:
            said = [one["record"].summary() | {key: one.get(key) for key in extra} for one in chosen]
            print(json.dumps(said, indent=2, default=str))
        elif not rows:
            places = ", ".join(str(place.absolute()) for place in folders)
            print(f"no runs under {places}; `dlkit train` makes one, `dlkit list FOLDER` looks elsewhere")
        elif chosen:
            show(chosen, extra, len(rows))


def existing(word: str) -> Path:
    folder = Path(word).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{word}: no such folder; a filter is written model={word}, or name={word}")
    return folder


def row(record: Record) -> Row:
    """What is known of a run, by the keys of columns, filters and --sort."""
    found = record.fields()
    metric = next((name for name in HEADLINES if f"val/{name}" in found or f"test/{name}" in found), None)
    columns = {
        "when": when(found["time"]),
        "run": shown(record.folder),
        "epochs": found["epoch"],
        "metric": metric,
        "val": found.get(f"val/{metric}"),
        "test": found.get(f"test/{metric}"),
        "tag": found["tags"],
    }
    return found | columns | {"record": record}


def when(time: str) -> str | None:
    """A moment as local time, to the minute."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return None


def select(rows: list[Row], filters: list[Filter], sort: str | None, columns: list[str], reverse: bool) -> list[Row]:
    """The rows that fit, in order. Raises ValueError for a key that no run has; says why none fits."""
    if not rows:
        return []
    known = {key for one in rows for key in one} - {"record"}
    check_keys([one.key for one in filters], "filter", known)
    check_keys([sort] if sort else [], "--sort", known)
    check_keys(columns, "--columns", known)
    for one in filters:
        rows, before = [row for row in rows if one.fits(row.get(one.key))], rows
        if not rows:
            print(f"no run has {one.word}; {_values(before, one.key)}", file=sys.stderr)
    if sort:
        return ordered(rows, sort, reverse)
    oldest_first = sorted(rows, key=lambda row: str(row["time"]))
    return oldest_first if reverse else oldest_first[::-1]


def _values(rows: list[Row], key: str) -> str:
    """What there is of a key, most frequent first: `model is mlp (8), cnn (2)`."""
    counts = Counter(as_text(row.get(key)) for row in rows).most_common()
    some = ", ".join(f"{value} ({count})" for value, count in counts[:8])
    return f"of the {len(rows)} looked at, {key} is {some}{', …' if len(counts) > 8 else ''}"


def show(rows: list[Row], extra: list[str], total: int) -> None:
    """The table; on a narrow terminal with fewer columns, since a folder cut or folded could not be copied."""
    console = Console(highlight=False)
    columns = list(dict.fromkeys([*COLUMNS, *extra]))
    room = console.width if console.is_terminal else 10**6
    dropped = []
    for column in [column for column in NARROW if column not in extra]:
        if width(table(rows, columns), console) <= room:
            break
        columns.remove(column)
        dropped.append(column)
    drawn = table(rows, columns)
    console.width = max(console.width, width(drawn, console))
    console.print(drawn)
    notes = [f"{len(rows)} of {total} runs"] if len(rows) < total else []
    notes += [f"too narrow for {', '.join(dropped)}"] if dropped else []
    if notes:
        print("; ".join(notes), file=sys.stderr)


def width(drawn: Table, console: Console) -> int:
    """Columns of the terminal that a table takes without folding."""
    return Measurement.get(console, console.options.update(width=10**6), drawn).maximum


def table(rows: list[Row], columns: Collection[str]) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float | None) for row in rows)
        drawn.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*[cell(row.get(column), column) for column in columns])
    return drawn


def cell(value: Any, column: str) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, float):
        return Text(f"{value:.4f}" if column in ("val", "test") or "/" in column else f"{value:.4g}")
    return Text(as_text(value), STYLES.get(value, "") if column == "status" else "")
