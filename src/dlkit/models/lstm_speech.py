"""The recurrent network for speech."""

from __future__ import annotations

from torch import nn

from dlkit.models.features import Features
from dlkit.models.fit import needs_waveform
from dlkit.models.sequence import Cell, Pool, Pooling, Recurrent, head
from dlkit.models.spec_augment import SpecAugment
from dlkit.models.speech import Front, Speech
from dlkit.types import Fraction, PositiveInt, Spec


def lstm_speech(
    spec: Spec,
    outputs: int,
    *,
    features: Front = Features,
    augment: SpecAugment | None = None,
    cell: Cell = "lstm",
    units: PositiveInt = 128,
    layers: PositiveInt = 1,
    bidirectional: bool = True,
    pooling: Pooling = "mean",
    dropout: Fraction = 0.2,
) -> nn.Module:
    """Recurrent layers over the frames, the outputs pooled over time. Dropout acts between layers and before the last.

    Raises ValueError unless the data is waveforms.
    """
    frames = features(needs_waveform("model=lstm_speech", spec))
    recurrent = Recurrent(cell, frames.width, units, layers, bidirectional, dropout)
    pool = Pool(pooling, recurrent.width, bidirectional)
    return Speech(frames, augment, None, recurrent, pool, head(recurrent.width, outputs, dropout))
