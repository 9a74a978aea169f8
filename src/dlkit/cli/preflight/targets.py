"""The options that a `_target_` takes: from dlkit's source without importing it, from other modules by importing them.

Importing a brick of dlkit costs the import of torch, seconds; reading its source costs a millisecond, so that a wrong
command is answered at once. Other people's modules are imported, since that is the only way to find a broken one.
"""

from __future__ import annotations

from functools import cache

from dlkit.cli.preflight import imported, source
from dlkit.cli.preflight.signatures import Signature


@cache
def signature(target: str, given: tuple[str, ...] = ()) -> Signature:
    """What the target takes, but for what it is `given` at runtime, first and by position.

    Raises TargetError, which names the part that fails and the closest name.
    """
    if is_ours(target):
        return source.signature(target)
    return imported.signature(target, given)


def is_ours(target: str) -> bool:
    """Whether the target can be read from dlkit's source."""
    return target.split(".")[0] == "dlkit"
