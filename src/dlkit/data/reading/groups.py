"""Groups that stay in one split: all recordings of a speaker, all pictures of a patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dlkit.data.reading.problems import Problems


class PathGroups:
    """What the regular expression `data.group` finds in the paths of files; without one there are no groups.

    Raises ValueError unless it is one with one group in brackets.
    """

    def __init__(self, group: str | None) -> None:
        self.pattern = pattern_of(group) if group else None
        self.names: dict[Path, str] = {}

    def find(self, root: Path, paths: Sequence[Path], problems: Problems) -> set[Path]:
        """Looks in each path below `root`; those in which nothing is found, each a problem."""
        for path in paths if self.pattern else ():
            assert self.pattern is not None
            match = self.pattern.search(path.relative_to(root).as_posix())
            if match is None or match[1] is None:
                problems.add(str(path), f"data.group='{self.pattern.pattern}' is not found in its path")
            else:
                self.names[path] = match[1]
        return set(paths) - set(self.names) if self.pattern else set()

    def numbers(self, paths: Sequence[Path]) -> Tensor | None:
        """The group of each path as a number, int64 (N,)."""
        return numbered([self.names[path] for path in paths]) if self.pattern else None


def pattern_of(group: str) -> re.Pattern[str]:
    """The regular expression of `data.group`. Raises ValueError unless it is one with one group in brackets."""
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ValueError(f"data.group='{group}' is no regular expression: {error}") from error
    if pattern.groups != 1:
        raise ValueError(f"data.group='{group}': {pattern.groups} groups in brackets, expected one: '(speaker[0-9]+)'")
    return pattern


def numbered(names: Sequence[str]) -> Tensor:
    """Names as numbers in the order of the alphabet, int64 (N,)."""
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return torch.tensor([numbers[name] for name in names], dtype=torch.int64)
