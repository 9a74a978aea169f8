"""Whether a value of the config suits the annotation of the option it is for, and what is expected, in words."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt

from dlkit.cli.preflight.words import did_you_mean

NOUNS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
PLURALS = {int: "whole numbers", float: "numbers", str: "words"}


def mistakes(key: str, value: Any, annotation: Any) -> list[str]:
    """Lines `key=value: must be …`; none where the value suits. An annotation not known here lets anything pass."""
    arms = list(_arms(annotation, ()))
    found = [_against(key, value, arm, limits) for arm, limits in arms]
    if not all(found):
        return []
    meant = [lines for lines, (arm, _) in zip(found, arms, strict=True) if _same_kind(value, arm)]
    if len(meant) == 1:  # the kind is right, so the complaint is about the range or an element
        return meant[0]
    return [f"{key}={show(value)}: must be {expected(annotation)}{_hint(key, value, arms)}"]


def expected(annotation: Any) -> str:
    """What suits the annotation, in words: `a whole number of at least 1 or null`."""
    return " or ".join(_describe(arm, limits) for arm, limits in _arms(annotation, ()))


def show(value: Any) -> str:
    """The value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(show(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{show(item)}" for key, item in value.items()) + "}"
    return str(value)


def _arms(annotation: Any, limits: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The members of a union, each with the ranges that `Annotated` puts on it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        yield from _arms(inner, (*limits, *_single_limits(metadata)))
    elif origin is Union or origin is types.UnionType:
        for arm in get_args(annotation):
            yield from _arms(arm, limits)
    else:
        yield (type(None) if annotation is None else annotation), limits


def _single_limits(metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item if isinstance(item, Interval) else (item,)


def _against(key: str, value: Any, arm: Any, limits: tuple[Any, ...]) -> list[str]:
    origin = get_origin(arm) or arm
    if origin is Literal:
        right = any(value == choice and type(value) is type(choice) for choice in get_args(arm))
    elif origin in (list, tuple, Sequence):
        return _elements(key, value, arm)
    elif origin in (dict, Mapping):
        right = isinstance(value, dict)
    elif origin in NOUNS:
        right = _same_kind(value, arm)
        if right and not all(_holds(value, limit) for limit in limits):
            return [f"{key}={show(value)}: must be {_range(limits)}"]
    else:
        return []  # a class of its own: only the code that takes it can judge
    return [] if right else [f"{key}={show(value)}: must be {_describe(arm, limits)}"]


def _same_kind(value: Any, arm: Any) -> bool:
    origin = get_origin(arm) or arm
    if origin is bool or isinstance(value, bool):
        return isinstance(value, bool) and origin is bool
    if origin is float:
        return isinstance(value, int | float) and math.isfinite(value)
    if origin in (list, tuple, Sequence):
        return isinstance(value, list)
    return origin in NOUNS and isinstance(value, origin)


def _elements(key: str, value: Any, arm: Any) -> list[str]:
    if not isinstance(value, list):
        return [f"{key}={show(value)}: must be {_describe(arm, ())}"]
    inner = get_args(arm)
    if get_origin(arm) is tuple and inner and inner[-1] is not Ellipsis:
        if len(value) != len(inner):
            return [f"{key}={show(value)}: must be {_describe(arm, ())}; {len(value)} given"]
        kinds = list(inner)
    else:
        kinds = [inner[0] if inner else Any] * len(value)
    return [line for i, kind in enumerate(kinds) for line in mistakes(f"{key}[{i}]", value[i], kind)]


def _holds(value: Any, limit: Any) -> bool:
    match limit:
        case Gt():
            return bool(value > limit.gt)
        case Ge():
            return bool(value >= limit.ge)
        case Lt():
            return bool(value < limit.lt)
        case Le():
            return bool(value <= limit.le)
    return True


def _range(limits: tuple[Any, ...]) -> str:
    """`greater than 0`, `between 0 and 1`, `at least 0 and less than 1`."""
    low = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    if low is not None and high is not None:
        return f"between {low} and {high}"
    names = {Gt: ("greater than", "gt"), Ge: ("at least", "ge"), Lt: ("less than", "lt"), Le: ("at most", "le")}
    return " and ".join(
        f"{names[type(limit)][0]} {getattr(limit, names[type(limit)][1])}" for limit in limits if type(limit) in names
    )


def _describe(arm: Any, limits: tuple[Any, ...]) -> str:
    origin = get_origin(arm) or arm
    if origin is Literal:
        choices = [show(choice) for choice in get_args(arm)]
        return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    if origin in (list, tuple, Sequence):
        return _describe_list(arm)
    if origin in (dict, Mapping):
        return "a mapping {key:value}"
    noun = NOUNS.get(origin, getattr(origin, "__name__", str(origin)))
    return _with_range(noun, limits)


def _with_range(noun: str, limits: tuple[Any, ...]) -> str:
    words = _range(limits)
    return f"{noun} of {words}" if words.startswith("at ") else f"{noun} {words}".strip()


def _describe_list(arm: Any) -> str:
    inner = get_args(arm)
    kinds = [_plural(kind, limits) for kind, limits in _arms(inner[0], ())] if inner else [""]
    if not all(kinds):
        return "a list [a,b]"
    count = f"{len(inner)} " if get_origin(arm) is tuple and inner[-1] is not Ellipsis else ""
    return f"a list of {count}{' or '.join(kinds)}"


def _plural(kind: Any, limits: tuple[Any, ...]) -> str:
    """Several of a kind, in words; empty where there is no word for it."""
    if get_origin(kind) is Literal:
        return ", ".join(map(show, get_args(kind)))
    return _with_range(PLURALS[kind], limits) if kind in PLURALS else ""


def _hint(key: str, value: Any, arms: list[tuple[Any, tuple[Any, ...]]]) -> str:
    """What was probably meant."""
    kinds = [arm for arm, _ in arms]
    if isinstance(value, float) and int in kinds and value.is_integer():
        return f"; write {int(value)}"
    if isinstance(value, int | float) and str in kinds and not isinstance(value, bool):
        return f"; text that looks like a number is quoted twice: \"{key}='{value}'\""
    for arm in kinds:
        if get_origin(arm) in (list, tuple, Sequence) and not mistakes(key, [value], arm):
            return f"; write {key}=[{show(value)}]"
    words = [show(choice) for arm in kinds if get_origin(arm) is Literal for choice in get_args(arm)]
    if value == "gpu" and "cuda" in words:  # closest by spelling would be cpu
        return "; did you mean cuda?"
    return did_you_mean(show(value), words)
