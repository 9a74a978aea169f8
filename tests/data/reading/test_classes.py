"""Classes that a user names."""

from __future__ import annotations

from typing import Any

import pytest

from dlkit.cli import preflight
from dlkit.data.reading.classes import named_classes
from dlkit.settings import config_folder


def test_names_keep_their_order_and_whole_numbers_become_words() -> None:
    assert named_classes(["wolf", 10, "9", "1.0"]) == ("wolf", "10", "9", "1.0")
    assert named_classes(None) == ()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["yes", False], r"data\.classes: False is no name; .* quotation marks"),
        (["a", None], r"data\.classes: None is no name"),
        (["a", 1.5], r"data\.classes: 1\.5 is no name"),
        (["a"], r"data\.classes=\[a\]: expected two or more"),
        ([], r"data\.classes=\[\]: expected two or more"),
        (["a", "b", "a"], r"data\.classes=\[a, b, a\]: a is in it twice"),
        ([1, "1"], r"1 is in it twice"),
    ],
)
def test_what_names_no_classes_is_refused(classes: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_classes(classes)


@pytest.mark.parametrize(
    "words",
    [
        ["data=image_folder", "data.root=x"],
        ["data=audio_folder", "data.root=x"],
        ["data=text_folder", "data.root=x"],
        ["data=text_csv", "data.path=x", "data.text=a", "data.label=b"],
        ["data=table_csv", "data.path=x", "data.target=b", "data.numeric=[age,3]"],
    ],
)
def test_the_command_line_takes_words_and_numbers_as_classes(words: list[str]) -> None:
    def mistakes(classes: str) -> list[str]:
        return preflight.check([*words, f"data.classes={classes}"], config_folder()).mistakes

    assert mistakes("[wolf,2]") == []
    (line,) = mistakes("wolf")
    assert line.startswith("data.classes=wolf: must be")
