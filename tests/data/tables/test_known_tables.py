"""The known tables: their counts as published, and small files in their layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_tables import ADULT, ROWS, write

from dlkit.data.examples import Examples
from dlkit.data.raw import Table
from dlkit.data.tables.known import FILES, adult, california_housing, titanic, wine_quality


def split(examples: Examples, name: str = "train") -> tuple[Table, torch.Tensor]:
    x, y = examples.splits[name]
    assert isinstance(x, Table)
    return x, y


def missing(table: Table) -> dict[str, int]:
    """How many values are missing, of the columns where any are."""
    counts = dict(zip(table.names, table.numbers.isnan().sum(0).tolist(), strict=False))
    counts |= {name: words.count("") for name, words in zip(table.names[-len(table.words) :], table.words, strict=True)}
    return {name: count for name, count in counts.items() if count}


def test_adult_has_the_published_counts(real_data: Path) -> None:
    examples = adult(root=str(real_data), download=False)
    (x, y), (x_test, y_test) = split(examples), split(examples, "test")
    assert (len(x), len(x_test)) == (32561, 16281)
    assert (int(y.sum()), int(y_test.sum())) == (7841, 3846)
    assert examples.classes == ("<=50K", ">50K")
    assert (x.numbers.shape[1], len(x.words)) == (6, 8)
    assert missing(x) == {"workclass": 1836, "occupation": 1843, "native-country": 583}
    assert x.numbers[0].tolist() == [39, 77516, 13, 2174, 0, 40]


def test_california_housing_has_the_published_counts(real_data: Path) -> None:
    examples = california_housing(root=str(real_data), download=False)
    x, y = split(examples)
    assert (len(x), x.numbers.shape[1], len(set(x.words[0]))) == (20640, 8, 5)
    assert missing(x) == {"total_bedrooms": 207}
    assert (examples.task, y[0].item(), y.max().item()) == ("regression", 452600, 500001)


def test_titanic_has_the_published_counts_and_decks(real_data: Path) -> None:
    examples = titanic(root=str(real_data), download=False)
    x, y = split(examples)
    assert (len(x), int(y.sum())) == (891, 342)
    assert x.names == ["Age", "SibSp", "Parch", "Fare", "Pclass", "Sex", "Cabin", "Embarked"]
    assert missing(x) == {"Age": 177, "Cabin": 687, "Embarked": 2}
    assert set(x.words[2]) == {"", *"ABCDEFGT"}


@pytest.mark.parametrize(("colour", "count"), [("red", 1599), ("white", 4898), ("both", 6497)])
def test_wine_quality_has_the_published_counts(colour: str, count: int, real_data: Path) -> None:
    numbers = wine_quality(root=str(real_data), download=False, colour=colour)  # type: ignore[arg-type]
    classes = wine_quality(root=str(real_data), download=False, colour=colour, task="classification")  # type: ignore[arg-type]
    x, y = split(numbers)
    assert (x.numbers.shape, len(x.words)) == ((count, 11), int(colour == "both"))
    assert classes.classes == tuple("345678" if colour == "red" else "3456789")
    labels = torch.tensor([int(name) for name in classes.classes])[split(classes)[1]]
    assert torch.equal(labels.float(), y[:, 0])


def test_small_files_in_the_same_layouts_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    root = str(tmp_path)
    examples = adult(root=root, download=False)
    assert {name: len(y) for name, (_, y) in examples.splits.items()} == {"train": ADULT, "test": 50}
    assert split(examples, "test")[1][:4].tolist() == [1, 0, 0, 1]
    assert len(split(california_housing(root=root, download=False))[1]) == ROWS
    x, _ = split(wine_quality(root=root, download=False))
    assert x.words == [["red"] * 120 + ["white"] * 236]
    assert split(titanic(root=root, download=False))[0].words[2][:2] == ["C", ""]


def test_a_file_that_is_not_there_is_named_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tabular/adult\.data not found.*data\.root.*https://archive\.ics\.uci\.edu"):
        adult(root=str(tmp_path), download=False)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "tabular" / "adult.test"
    path.write_text(path.read_text().replace("Private, ", "", 1))
    with pytest.raises(ValueError, match=r"adult\.test:4: 14 cells, expected 15"):
        adult(root=str(tmp_path), download=False)


def test_every_file_has_an_address_and_a_checksum() -> None:
    for url, md5 in FILES.values():
        assert url.startswith("https://")
        assert len(md5) == 32
