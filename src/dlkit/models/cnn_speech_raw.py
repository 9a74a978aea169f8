"""The convolutional network over the samples of a waveform."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dlkit.models.convolved import Convolution
from dlkit.models.fit import needs_waveform
from dlkit.models.sequence import Pool, Pooling, head, unpadded
from dlkit.types import Fraction, PositiveInt, Spec


class RawSpeech(nn.Module):
    """Convolutions over samples (B, T), NaN behind each end, pooled over what is left of time."""

    def __init__(self, blocks: Sequence[Convolution], pool: Pool, head: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        x, lengths = unpadded(x)
        x = x.unsqueeze(1)
        for block in self.blocks:
            x, lengths = block(x, lengths)
        return self.head(self.pool(x.transpose(1, 2), lengths))


def cnn_speech_raw(
    spec: Spec,
    outputs: int,
    *,
    channels: Sequence[PositiveInt] = (64, 64, 128, 128),
    first_kernel: PositiveInt = 79,
    first_stride: PositiveInt = 4,
    kernel_size: PositiveInt = 3,
    pool: PositiveInt = 4,
    batch_norm: bool = True,
    pooling: Pooling = "mean",
    dropout: Fraction = 0.3,
) -> nn.Module:
    """(Conv – norm – ReLU – Pool) × n in time, the first filters long: in the manner of M5 (Dai et al. 2017).

    A first filter of 79 samples spans 10 ms at 8 kHz. Raises ValueError for other data and even sizes.
    """
    needs_waveform("model=cnn_speech_raw", spec)
    if first_kernel % 2 == 0:
        raise ValueError(f"model.first_kernel={first_kernel} must be odd, so that a filter has a middle")
    blocks = []
    for number, (inputs, width) in enumerate(zip((1, *channels), channels, strict=False)):
        size, stride = (kernel_size, 1) if number else (first_kernel, first_stride)
        blocks.append(Convolution(inputs, width, size, axes=1, stride=stride, pool=pool, batch_norm=batch_norm))
    return RawSpeech(blocks, Pool(pooling, channels[-1]), head(channels[-1], outputs, dropout))
