"""What is read from dlkit's source is what Python itself says about the same functions and classes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Lt
from hydra.utils import get_object
from omegaconf import OmegaConf

from dlkit.cli.preflight.signatures import TargetError
from dlkit.cli.preflight.targets import signature
from dlkit.cli.preflight.values import mistakes
from dlkit.settings import SHARED, config_folder


def files() -> list[Path]:
    """All that ship, but for launchers and sweepers, which are Hydra's plugins and judge their options themselves."""
    return [file for file in config_folder().rglob("*.yaml") if "hydra" not in file.relative_to(config_folder()).parts]


def targets() -> list[str]:
    """Every `_target_` under configs/, and the functions that groups share."""
    found = set(SHARED.values())
    for file in files():
        text = file.read_text(encoding="utf-8")
        found |= {line.split(":")[1].strip() for line in text.splitlines() if line.strip().startswith("_target_:")}
    return sorted(found)


@pytest.mark.parametrize("target", targets())
def test_the_options_read_from_the_source_are_those_of_the_imported_object(target: str) -> None:
    arguments = inspect.signature(get_object(target)).parameters.values()
    is_dataclass = hasattr(get_object(target), "__dataclass_fields__")
    has_star = any(a.kind is a.KEYWORD_ONLY for a in arguments)  # what stands before it is given at runtime
    expected = {
        a.name: a.default is not a.empty
        for a in arguments
        if a.kind is a.KEYWORD_ONLY
        or (a.kind is a.POSITIONAL_OR_KEYWORD and (is_dataclass or (a.default is not a.empty and not has_star)))
    }
    read = signature(target)
    assert {name: option.has_default for name, option in read.parameters.items()} == expected


@pytest.mark.parametrize("target", targets())
def test_every_option_in_the_files_has_an_annotation_that_is_understood(target: str) -> None:
    objects = {"augment", "features"}  # made by a `_target_` of its own
    unknown = {name for name, option in signature(target).parameters.items() if option.annotation is Any}
    assert unknown <= objects


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("dlkit.optim.adamm", "dlkit.optim has no adamm; did you mean adam?"),
        ("dlkit.optm.adam", "dlkit has no optm; did you mean optim?"),
        ("dlkit.optim", "dlkit.optim is a module; name something in it: gd"),
        ("json.dumpss", "json has no dumpss; did you mean dumps?"),
        ("jsonn.dumps", "there is no module jsonn"),
        ("math.pi", "this is a float, not a class or function"),
    ],
)
def test_a_target_that_does_not_exist_is_named_with_the_part_that_fails(target: str, message: str) -> None:
    with pytest.raises(TargetError) as error:
        signature(target)
    assert message in str(error.value)


def test_a_class_is_read_with_what_it_inherits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlkit.cli.preflight import source

    (tmp_path / "bases.py").write_text("class Base:\n    def __init__(self, spec, *, width: PositiveInt): ...\n")
    (tmp_path / "made.py").write_text(
        "from dataclasses import KW_ONLY, dataclass\nfrom dlkit.bases import Base\n"
        "class Child(Base):\n    pass\n"
        "@dataclass\nclass Fields:\n    spec: object\n    _: KW_ONLY\n    rate: float = 0.1\n"
        "def loose(x, **options): ...\n"
        "made = loose(3)\n"
    )
    monkeypatch.setattr(source, "PACKAGE", tmp_path)
    source._definitions.cache_clear()
    try:
        assert source.signature("dlkit.made.Child").parameters["width"].keyword_only
        assert list(source.signature("dlkit.made.Fields").parameters) == ["rate"]
        assert source.signature("dlkit.made.loose").open
        assert source.signature("dlkit.made.made").open
    finally:
        source._definitions.cache_clear()


VALUES = [
    (3, float, True),
    (True, float, False),
    (True, int, False),
    (3.0, int, False),
    (None, float | None, True),
    (None, float, False),
    ("3", int, False),
    (3, str, False),
    (0, Annotated[float, Gt(0)], False),
    (1, Annotated[float, Ge(0), Lt(1)], False),
    (1, Annotated[float, Interval(ge=0, le=1)], True),
    ("full", Annotated[int, Ge(1)] | Literal["full"], True),
    (0, Annotated[int, Ge(1)] | Literal["full"], False),
    (True, Literal[1], False),
    ([1, 2], tuple[int, ...], True),
    ([1, 2, 3], tuple[int, int], False),
    ([1, "a"], list[int], False),
    ([], Sequence[int], True),
    (3, Sequence[int], False),
    ({"a": 1}, dict[str, int], True),
    ("x", dict[str, int], False),
    ("anything", Any, True),
    ("anything", Path, True),
]


@pytest.mark.parametrize(("value", "annotation", "suits"), VALUES, ids=str)
def test_a_value_suits_its_annotation_or_not(value: Any, annotation: Any, suits: bool) -> None:
    assert (mistakes("key", value, annotation) == []) is suits


def test_the_range_is_told_in_words_and_the_wrong_element_by_its_place() -> None:
    positive = Annotated[float, Gt(0)]
    assert mistakes("lr", -1, positive) == ["lr=-1: must be greater than 0"]
    assert mistakes("lr", "a", positive | None) == ["lr=a: must be a number greater than 0 or null"]
    assert mistakes("lr", [1, -1], list[positive]) == ["lr[1]=-1: must be greater than 0"]  # type: ignore[valid-type]
    assert mistakes("size", 0, Annotated[int, Ge(1)] | Literal["full"]) == ["size=0: must be at least 1"]


def test_the_values_in_the_files_suit_their_targets() -> None:
    for file in files():
        node = OmegaConf.to_container(OmegaConf.load(file))
        if isinstance(node, dict) and "_target_" in node:
            for name, option in signature(node["_target_"]).parameters.items():
                if name in node and "${" not in str(node[name]):
                    assert mistakes(name, node[name], option.annotation) == [], file
