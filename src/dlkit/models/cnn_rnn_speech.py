"""The convolutional and recurrent network for speech."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from dlkit.models.convolved import Convolutions
from dlkit.models.features import Features
from dlkit.models.fit import needs_waveform
from dlkit.models.sequence import Cell, Pool, Pooling, Recurrent, head
from dlkit.models.spec_augment import SpecAugment
from dlkit.models.speech import Front, Speech
from dlkit.types import Fraction, PositiveInt, Spec


def cnn_rnn_speech(
    spec: Spec,
    outputs: int,
    *,
    features: Front = Features,
    augment: SpecAugment | None = None,
    channels: Sequence[PositiveInt] = (32, 64),
    kernel_size: PositiveInt = 3,
    batch_norm: bool = True,
    cell: Cell = "gru",
    units: PositiveInt = 64,
    layers: PositiveInt = 1,
    bidirectional: bool = True,
    pooling: Pooling = "mean",
    dropout: Fraction = 0.3,
) -> nn.Module:
    """(Conv – norm – ReLU – Pool) × n in time and frequency, then recurrent layers over time, pooling, a linear layer.

    Each 2×2 max-pooling halves time and frequency, rounded up; a step of the recurrent layers sees all channels of all
    bins left. Dropout acts between recurrent layers and before the last layer. Raises ValueError unless the data is
    waveforms.
    """
    frames = features(needs_waveform("model=cnn_rnn_speech", spec))
    convolutions = Convolutions(frames.width, list(channels), kernel_size, batch_norm)
    recurrent = Recurrent(cell, convolutions.width, units, layers, bidirectional, dropout)
    pool = Pool(pooling, recurrent.width, bidirectional)
    return Speech(frames, augment, convolutions, recurrent, pool, head(recurrent.width, outputs, dropout))
