"""Where examples come from, how they are encoded, and how batches are cut.

A source (`images.known.mnist`, `text.files.text_csv`, or a function of your own project) returns `Examples`, raw and by
split; `prepare.load` splits them further, fits an encoder on the training split, and holds the encoded examples on the
device (`resident`) or streams them from files (`streamed`). Each kind has a folder: images, text, audio,
tables; what they all do with files is in `reading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlkit.data.examples import Examples
    from dlkit.data.raw import Files, Ragged, Table, Texts

__all__ = ["Examples", "Files", "Ragged", "Table", "Texts"]


def __getattr__(name: str) -> Any:
    """Imported at first use: the command line looks in here and must not pay for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dlkit.data import examples, raw

    return examples.Examples if name == "Examples" else getattr(raw, name)
