"""Classes that a user names, in the order of their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

SHOWN = 12  # classes that a message names


def named_classes(classes: Sequence[str | int] | None, same: Callable[[str], str] = str) -> tuple[str, ...]:
    """The option `data.classes` as words; () where it is null.

    Raises ValueError for fewer than two, for what is neither a word nor a whole number, and for two of which `same`
    makes one.
    """
    if classes is None:
        return ()
    for name in classes:
        if isinstance(name, bool) or not isinstance(name, str | int):  # YAML reads yes, no and null as no words
            raise ValueError(f"data.classes: {name} is no name; put what is meant in quotation marks")
    names = tuple(str(name) for name in classes)
    if len(names) < 2:
        raise ValueError(f"data.classes=[{', '.join(names)}]: expected two or more")
    if twice := [name for name, count in Counter(map(same, names)).items() if count > 1]:
        raise ValueError(f"data.classes=[{', '.join(names)}]: {twice[0]} is in it twice")
    return names


def stranger(name: str, classes: Sequence[str]) -> str:
    """What is wrong with a file or row of a class that is not among those named, by the user or by a trained model."""
    return f"class {name!r} is none of {listed(classes)}"


def listed(classes: Sequence[str]) -> str:
    """The first `SHOWN` of them as text."""
    return ", ".join(classes[:SHOWN]) + " …" * (len(classes) > SHOWN)
