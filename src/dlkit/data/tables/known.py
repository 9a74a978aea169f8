"""Tables that everybody knows: Adult, California housing, wine quality, Titanic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from dlkit.data.examples import Examples
from dlkit.data.reading.download import fetch
from dlkit.data.reading.problems import PUBLISHED, Problems
from dlkit.data.reading.rows import Rows, read_rows
from dlkit.data.tables.table import Choice, examples_of

UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"
GERON = "https://raw.githubusercontent.com/ageron/data/2ea73147454d2ff8c8a933913be4606f05b352ca"
FILES = {  # name in root/tabular: where it is published, its MD5
    "adult.data": (f"{UCI}/adult/adult.data", "5d7c39d7b8804f071cdd1f2a7c460872"),
    "adult.test": (f"{UCI}/adult/adult.test", "35238206dfdf7f1fe215bbb874adecdc"),
    "winequality-red.csv": (f"{UCI}/wine-quality/winequality-red.csv", "2daeecee174368f8a33b82c8cccae3a5"),
    "winequality-white.csv": (f"{UCI}/wine-quality/winequality-white.csv", "5d9ff0f7f716dace19e3ab4578775fd7"),
    "housing.csv": (f"{GERON}/housing/housing.csv", "926e9da0bad793e03c119a4f5809f65c"),
    "titanic_train.csv": (f"{GERON}/titanic/train.csv", "b618152af4e09a88d49ed186892d33e8"),
}
ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)


def adult(*, root: str, download: bool) -> Examples:
    """Adult (Becker and Kohavi 1996): whether a person of the 1994 census of the USA earns more than 50,000 dollars.

    32,561 + 16,281 rows, the publisher's split; 6 numbers and 8 categories, `?` where one is missing.
    """
    parts = {}
    for split, name in (("train", "adult.data"), ("test", "adult.test")):
        rows = _rows(root, name, download, header=False)
        # adult.test ends its classes with a full stop.
        cells = [[*row[:-1], row[-1].strip().rstrip(".")] for row in rows.cells]
        parts[split] = Rows(rows.path, ADULT, cells, rows.lines)
    return examples_of(parts, Problems(remedy=PUBLISHED), Choice("income", task="classification"))


def california_housing(*, root: str, download: bool) -> Examples:
    """California housing (Pace and Barry 1997): the median value of houses in 20,640 districts, dollars of 1990.

    Géron's version: 8 numbers, 207 of `total_bedrooms` missing, and how near the sea is.
    """
    parts = {"train": _rows(root, "housing.csv", download)}
    return examples_of(parts, Problems(remedy=PUBLISHED), Choice("median_house_value", task="regression"))


def wine_quality(
    *,
    root: str,
    download: bool,
    colour: Literal["red", "white", "both"] = "both",
    task: Literal["regression", "classification"] = "regression",
) -> Examples:
    """Wine quality (Cortez et al. 2009): the taste of 1,599 red and 4,898 white wines, 3 to 9, from 11 measurements.

    The colour is a column more where it is `both`.
    """
    chosen = ("red", "white") if colour == "both" else (colour,)
    files = [_rows(root, f"winequality-{one}.csv", download) for one in chosen]
    cells = [[*row, one] for one, rows in zip(chosen, files, strict=True) for row in rows.cells]
    lines = [line for rows in files for line in rows.lines]
    rows = Rows(files[0].path, (*files[0].names, "colour"), cells, lines)
    ignore = () if colour == "both" else ("colour",)
    examples = examples_of({"train": rows}, Problems(remedy=PUBLISHED), Choice("quality", ignore=ignore, task=task))
    return replace(examples, names={"train": tuple(name for one in files for name in one.origins())})


def titanic(*, root: str, download: bool) -> Examples:
    """Titanic: who of 891 passengers survived.

    Class, sex, age, relatives aboard, fare, port, and of the cabin its letter, the deck; name, ticket and number of the
    passenger are left out.
    """
    rows = _rows(root, "titanic_train.csv", download)
    cabin = rows.place("Cabin", "data.root")
    cells = [[*row[:cabin], row[cabin][:1], *row[cabin + 1 :]] for row in rows.cells]
    parts = {"train": Rows(rows.path, rows.names, cells, rows.lines)}
    ignore = ("PassengerId", "Name", "Ticket")
    choice = Choice("Survived", ignore=ignore, categorical=("Pclass",), task="classification")
    return examples_of(parts, Problems(remedy=PUBLISHED), choice)


def _rows(root: str, name: str, download: bool, header: bool = True) -> Rows:
    """Rows of a file in root/tabular. A line of another length is an error, but for the first one of adult.test."""
    url, md5 = FILES[name]
    path = fetch(url, Path(root).expanduser() / "tabular" / name, md5, download)
    problems = Problems(remedy=PUBLISHED)
    rows = read_rows(path, problems, header=header, key="data.root")
    problems.found = [(where, why) for where, why in problems.found if (name, where) != ("adult.test", f"{path}:1")]
    problems.settle()
    return rows
