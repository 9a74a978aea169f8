"""The convolutional text classifier of Kim (2014)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.models.fit import needs_tokens
from dlkit.models.sequence import head, largest, mask, unpadded
from dlkit.models.vectors import Words, embedding
from dlkit.types import Positive, PositiveInt, ProperFraction, Spec


class CnnText(nn.Module):
    """Tokens (B, T), padded with 0, to outputs (B, outputs); padding changes nothing.

    Every word is the middle of one window of each width, so a text shorter than a window has its windows too; beyond
    a text's ends they see zeros.
    """

    def __init__(self, words: Words, channels: int, widths: Sequence[int], outputs: int, dropout: float) -> None:
        super().__init__()
        self.words = words
        self.convolutions = nn.ModuleList(nn.Conv1d(words.width, channels, width) for width in widths)
        self.head = head(channels * len(widths), outputs, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x, lengths = unpadded(x)
        inside = mask(lengths.clamp(min=1), x.shape[1]).unsqueeze(1)  # an empty text is one window of zeros
        embedded = self.words(x).transpose(1, 2)  # (B, E, T)
        features = [self._largest(conv, embedded, inside) for conv in self.convolutions]
        return self.head(F.relu(torch.cat(features, 1)))  # ReLU grows, so it may follow the maximum

    @staticmethod
    def _largest(conv: nn.Module, embedded: Tensor, inside: Tensor) -> Tensor:
        """The convolution's largest output over the words of each text: (B, E, T) -> (B, channels)."""
        width: int = conv.kernel_size[0]  # type: ignore[index, assignment]
        out = conv(F.pad(embedded, ((width - 1) // 2, width // 2)))
        return largest(out, inside, 2)


def cnn_text(
    spec: Spec,
    outputs: int,
    *,
    embedding_size: PositiveInt = 300,
    channels: PositiveInt = 100,
    widths: Sequence[PositiveInt] = (3, 4, 5),
    dropout: ProperFraction = 0.5,
    embedding_dropout: ProperFraction = 0.0,
    word_dropout: ProperFraction = 0.0,
    embedding_range: Positive = 0.25,
    vectors: str | None = None,
    freeze_vectors: bool = False,
) -> nn.Module:
    """Convolutions of several widths side by side, the maximum over time of each, ReLU, dropout, a linear layer.

    Kim (2014), section 2; without `vectors` his CNN-rand, with them CNN-non-static, with `freeze_vectors` CNN-static.
    His windows also reach beyond the text's ends by all but one word; here by half.
    """
    needs_tokens("model=cnn_text", spec)
    if not widths:
        raise ValueError("model.widths=[]: name one width or more, in words, as in [3, 4, 5]")
    table = embedding(spec, embedding_size, embedding_range, vectors, freeze_vectors)
    return CnnText(Words(table, embedding_dropout, word_dropout), channels, widths, outputs, dropout)
