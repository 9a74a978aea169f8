"""The points of a sweep: what each job has of its own, and which of them a mistake concerns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import TypeVar

from hydra.core.override_parser.types import Override

from dlkit.cli.preflight.overrides import count, singles
from dlkit.sweeps.options import Options
from dlkit.sweeps.plan import job_name, split

MOST = 100_000  # jobs; a slip such as seed=range(1e9) would never come to an end
Condition = frozenset[str]  # swept options, `key=value` each, with which a job has a mistake; none: every job has it
Point = tuple[str, ...]  # the swept options of a job, `key=value` each
T = TypeVar("T")


class Points:
    """The jobs that options ask for. Of a search (`drawn`), which has no list of them, those at its space's ends."""

    def __init__(self, overrides: Iterable[Override], drawn: bool = False) -> None:
        options = Options(overrides)
        if not drawn and (jobs := prod(map(count, options.swept))) > MOST:
            last = options.swept[-1].input_line
            raise ValueError(f"{jobs:,} jobs: a sweep holds at most {MOST:,}; give fewer values to {last}")
        self.fixed = options.fixed
        self.axes = [[str(one.input_line) for one in singles(override)] for override in options.swept]
        self.drawn = drawn

    def __len__(self) -> int:
        return prod(map(len, self.axes))

    def __iter__(self) -> Iterator[Point]:
        return map(tuple, star(self.axes)) if self.drawn else product(*self.axes)

    def having(self, conditions: Collection[Condition]) -> list[Point]:
        """The jobs that fulfil one of the conditions."""
        needed = set(conditions)
        return [point for point in self if any(condition <= frozenset(point) for condition in needed)]

    def told(self, mistake: str, having: Sequence[Point]) -> str:
        """The mistake, and, where not all jobs have it, what those have in common, how many they are, and one."""
        if not having or len(having) == len(list(self)):
            return mistake
        common = set(having[0]).intersection(*having)
        shared = [text for axis in self.axes if len(axis) > 1 for text in axis if text in common]
        told = [f"with {' '.join(shared)}"] if shared and not mistake.startswith(f"{shared[0]}: ") else []
        if not self.drawn:
            told.append(f"{len(having):,} of {len(self):,} jobs, such as {self.name(having[0])}")
        return f"{mistake} ({': '.join(told)})" if told else mistake

    @staticmethod
    def name(point: Point) -> str:
        """The job's, as its folder is called."""
        return job_name(dict(map(split, point)))


def conditions_of(by_row: dict[Condition, dict[str, list[Condition]]], whole: bool) -> dict[str, list[Condition]]:
    """When a job has each of the mistakes, from those found with sets of group choices.

    `whole`: these are all sets; else they are a `star`, and what one choice alone changes is put down to this choice.
    """
    found: dict[str, list[Condition]] = {}
    (first, beside), *others = by_row.items()
    for row, mistakes in by_row.items():
        for mistake, needs in mistakes.items():
            if whole:
                needed = row
            elif row == first:  # of the first choices those without which it is not found
                needed = frozenset().union(*(first - other for other, there in others if mistake not in there))
            elif mistake in beside:
                continue
            else:
                needed = row - first
            found.setdefault(mistake, []).extend(needed | one for one in needs)
    return found


def star(axes: Sequence[Sequence[T]]) -> list[list[T]]:
    """The first value of all, and every other one beside the first of the others."""
    first = [values[0] for values in axes]
    others = [[*first[:i], value, *first[i + 1 :]] for i, values in enumerate(axes) for value in values[1:]]
    return [first, *others]
