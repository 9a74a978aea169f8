"""What a `_target_` takes as options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One argument of a target."""

    annotation: Any  # typing.Any where it cannot be evaluated: anything goes
    has_default: bool
    keyword_only: bool


@dataclass(frozen=True)
class Signature:
    """The options of a target by name; `open` where it also takes names of any kind (**kwargs)."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False

    def __or__(self, other: Signature) -> Signature:
        """The options of both, where one node of the config serves two functions; the first one's come first."""
        return Signature({**other.parameters, **self.parameters}, self.open or other.open)


class TargetError(ValueError):
    """A `_target_` that cannot be found or imported; `__cause__` is the error of the import, where there is one."""
