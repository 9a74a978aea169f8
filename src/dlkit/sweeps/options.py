"""What a sweep is asked for: options that all its jobs share, and options that are swept."""

from __future__ import annotations

from collections.abc import Iterable

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override


class Options:
    """Options as Hydra parsed them, in their order; of a key that is given twice the last."""

    def __init__(self, overrides: Iterable[Override]) -> None:
        self.all = list({one.key_or_group: one for one in overrides}.values())
        self.swept = [one for one in self.all if one.is_sweep_override()]

    @property
    def fixed(self) -> list[str]:
        """Those that all jobs share, as each job is given them: `key=value`."""
        ((texts,),) = BasicSweeper.split_arguments([one for one in self.all if not one.is_sweep_override()], None)
        return list(texts)

    @property
    def keys(self) -> list[str]:
        """The keys of those that are swept."""
        return [one.key_or_group for one in self.swept]

    def combinations(self) -> list[list[str]]:
        """The options of each job: every combination of all values, the last key's changing first."""
        (jobs,) = BasicSweeper.split_arguments(self.all, None)
        return list(jobs)
