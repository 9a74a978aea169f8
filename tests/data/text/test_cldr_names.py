"""The embedded names: what is in the file, that it can be made again, and that it is shipped with its licence."""

from __future__ import annotations

import gzip
import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from dlkit.data.text.cldr_names import FILE, LANGUAGES, cldr_names

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str]]:
    examples = cldr_names()
    texts, labels = examples.splits["train"]
    return [(examples.classes[label], text) for text, label in zip(texts.texts, labels.tolist(), strict=True)]


def script() -> ModuleType:
    """scripts/make_cldr_names.py; skips where the Babel that it wants is not installed."""
    babel = pytest.importorskip("babel")
    spec = importlib.util.spec_from_file_location("make_cldr_names", REPOSITORY / "scripts" / "make_cldr_names.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if babel.__version__ != module.BABEL:
        pytest.skip(f"Babel {babel.__version__} is not the {module.BABEL} of the shipped names")
    return module


def test_there_are_as_many_names_as_the_docstring_says(rows: list[tuple[str, str]]) -> None:
    assert cldr_names.__doc__ is not None
    assert cldr_names.__doc__.startswith(f"{len(rows):,} names")
    counts = Counter(language for language, _ in rows)
    (least, least_count), (most, most_count) = counts.most_common()[-1], counts.most_common()[0]
    assert f"{least_count} ({least}) to {most_count} ({most}) names" in cldr_names.__doc__
    lengths = [len(name) for _, name in rows]
    assert f"{min(lengths)} to {max(lengths)} characters" in cldr_names.__doc__
    assert set(counts) == set(LANGUAGES.values()) and len(counts) == 15


def test_no_name_comes_twice_in_whatever_language_or_case(rows: list[tuple[str, str]]) -> None:
    assert len({name.casefold() for _, name in rows}) == len(rows)


@pytest.mark.parametrize(
    ("language", "name"),
    [("Czech", "Ceuta a Melilla"), ("German", "Österreich"), ("Turkish", "Darice"), ("Finnish", "Norja")],
)
def test_names_have_the_class_of_their_language(language: str, name: str, rows: list[tuple[str, str]]) -> None:
    assert (language, name) in rows


def test_names_are_trimmed_and_not_empty(rows: list[tuple[str, str]]) -> None:
    assert all(name and name == name.strip() for _, name in rows)


def test_the_script_makes_the_file_that_is_shipped() -> None:
    assert script().text() == gzip.decompress(FILE.read_bytes()).decode()


def test_a_name_shared_by_two_languages_is_left_out_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script()
    found = {"cs": ["Zulu", "a"], "da": ["zulu", "b"]}
    monkeypatch.setattr(module, "LANGUAGES", dict.fromkeys(found, ""))
    monkeypatch.setattr(module, "names", lambda code: found[code])
    assert module.rows() == [("cs", "a"), ("da", "b")]


def test_the_file_holds_no_time_and_its_licence_lies_beside_it() -> None:
    assert FILE.read_bytes()[4:8] == bytes(4)
    assert "UNICODE LICENSE V3" in (FILE.parent / "UNICODE-LICENSE").read_text(encoding="utf-8")
