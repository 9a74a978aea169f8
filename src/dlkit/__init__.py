"""dlkit: config-driven deep learning experiments.

>>> import dlkit
>>> run = dlkit.train(["model=cnn", "data=mnist"])
>>> run.folder, run.result["metrics"]["test/accuracy"], run.model
>>> dlkit.load("latest").predict("digit.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlkit.library import load, train

__version__ = "0.1.0"
__all__ = ["load", "train"]


def __getattr__(name: str) -> Any:
    """What a notebook uses, imported at first use: the command line must not pay for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dlkit import library

    return getattr(library, name)
