"""What speech models have in common: frames of the waveform, what reads them, one vector a recording, the head."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from dlkit.models.convolved import Convolutions
from dlkit.models.features import Features
from dlkit.models.sequence import Pool, Recurrent, unpadded
from dlkit.models.spec_augment import SpecAugment

Front = Callable[[int], Features]  # sample rate in Hz -> the module


class Speech(nn.Module):
    """features -> SpecAugment -> convolutions -> recurrent layers -> pooling -> dropout -> `Wx + b`.

    What is None is left out. It takes waveforms (B, T), or frames (B, T, width) that `features` has made already: the
    features have no weights, so where the waveforms never change they are computed once for the whole run.
    """

    def __init__(
        self,
        features: Features,
        augment: SpecAugment | None,
        convolutions: Convolutions | None,
        recurrent: Recurrent | None,
        pool: Pool,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.features = features
        self.augment = augment
        self.convolutions = convolutions
        self.recurrent = recurrent
        self.pool = pool
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        x, lengths = unpadded(self.features(x) if x.dim() == 2 else x)
        if self.augment is not None:
            x = self.augment(x, lengths)
        if self.convolutions is not None:
            x, lengths = self.convolutions(x, lengths)
        if self.recurrent is not None:
            x = self.recurrent(x, lengths)
        return self.head(self.pool(x, lengths))
