"""The convolutional network for speech: over log-mel frames as over a picture."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from dlkit.models.convolved import Convolutions
from dlkit.models.features import Features
from dlkit.models.fit import needs_waveform
from dlkit.models.sequence import Pool, Pooling, head
from dlkit.models.spec_augment import SpecAugment
from dlkit.models.speech import Front, Speech
from dlkit.types import Fraction, PositiveInt, Spec


def cnn_speech(
    spec: Spec,
    outputs: int,
    *,
    features: Front = Features,
    augment: SpecAugment | None = None,
    channels: Sequence[PositiveInt] = (32, 64, 64),
    kernel_size: PositiveInt = 3,
    batch_norm: bool = True,
    pooling: Pooling = "max",
    dropout: Fraction = 0.3,
) -> nn.Module:
    """(Conv – norm – ReLU – Pool) × n in time and frequency, then pooling over time, dropout and a linear layer.

    Each 2×2 max-pooling halves time and frequency, rounded up. Padding is masked before every convolution and left out
    of the norms' statistics. Raises ValueError unless the data is waveforms.
    """
    frames = features(needs_waveform("model=cnn_speech", spec))
    convolutions = Convolutions(frames.width, list(channels), kernel_size, batch_norm)
    width = convolutions.width
    return Speech(frames, augment, convolutions, None, Pool(pooling, width), head(width, outputs, dropout))
