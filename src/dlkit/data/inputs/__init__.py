"""Raw inputs one by one, for a model that is trained: from files, folders and standard input, or from Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlkit.data.audio.waves import Waves
from dlkit.data.inputs.files import Pictures, Sounds
from dlkit.data.inputs.found import Example, Inputs
from dlkit.data.inputs.sentences import Sentences
from dlkit.data.inputs.tables import TableRows
from dlkit.data.scale import Scale
from dlkit.data.tables.columns import Columns
from dlkit.data.text.tokens import Tokens
from dlkit.types import Encoder, Spec

__all__ = ["Example", "Inputs", "inputs_for"]


def inputs_for(spec: Spec, encoder: Encoder, source: Mapping[str, Any], column: str | int | None = None) -> Inputs:
    """The reader of what a model with this Spec and encoder takes.

    `source` is the config's node `data`: files are read as the run read its own. `column` is that of the texts, in
    files with several. Raises ValueError for an encoder that is not dlkit's: what it takes is not known.
    """
    kind = type(encoder)  # not a class derived from one: it may want anything
    if column is not None and kind is not Tokens:
        raise ValueError(f"--column={column}: of texts only; this model takes {spec.kind} inputs")
    if isinstance(encoder, Scale) and kind is Scale and len(spec.input_shape) == 3:
        return Pictures(spec, encoder, source)
    if isinstance(encoder, Waves) and kind is Waves:
        return Sounds(spec, encoder)
    if isinstance(encoder, Tokens) and kind is Tokens:
        return Sentences(source, column)
    if isinstance(encoder, Columns) and kind is Columns:
        return TableRows(encoder, source)
    raise ValueError(
        f"data.encoder={kind.__module__}.{kind.__qualname__}: what files it takes is not known; "
        "predict from Python with raw examples as the run's own source gives them"
    )
