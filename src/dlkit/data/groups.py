"""Groups found in the paths of files: all recordings of a speaker, all pictures of a patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dlkit.data.problems import Problems


def pattern_of(group: str) -> re.Pattern[str]:
    """The regular expression of `data.group`. Raises ValueError unless it is one with one group in brackets."""
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ValueError(f"data.group={group!r} is no regular expression: {error}") from error
    if pattern.groups != 1:
        raise ValueError(f"data.group={group!r}: {pattern.groups} groups in brackets, expected one: '(speaker[0-9]+)'")
    return pattern


def find_groups(root: Path, paths: Sequence[Path], pattern: re.Pattern[str], problems: Problems) -> dict[Path, str]:
    """What the pattern finds in each path below `root`; a path in which it finds nothing is a problem."""
    names = {}
    for path in paths:
        match = pattern.search(path.relative_to(root).as_posix())
        if match is None or match[1] is None:
            problems.add(str(path), f"data.group={pattern.pattern!r} is not found in its path")
        else:
            names[path] = match[1]
    return names


def numbered(names: Sequence[str]) -> Tensor:
    """Names as numbers in the order of the alphabet, int64 (N,)."""
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return torch.tensor([numbers[name] for name in names], dtype=torch.int64)
