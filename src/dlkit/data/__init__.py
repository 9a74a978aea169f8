"""Where examples come from, how they are encoded, and how batches are cut.

A source (`vision.mnist`, `synthetic.synthetic`, or a function in your own project) returns `Examples`; `load` splits
and encodes them and holds them on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlkit.data.examples import Examples
    from dlkit.data.resident import ResidentData, load

__all__ = ["Examples", "ResidentData", "load"]


def __getattr__(name: str) -> Any:
    """`load` and its types, imported at first use: the command line looks in here and must not pay for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dlkit.data import examples, resident

    return getattr(examples if name == "Examples" else resident, name)
