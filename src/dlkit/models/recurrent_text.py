"""Recurrent text classifiers: words, recurrent layers, one vector of them all, a linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from dlkit.models.fit import needs_tokens
from dlkit.models.sequence import Cell, Pool, Pooling, Recurrent, head, unpadded
from dlkit.models.vectors import Words, embedding
from dlkit.types import Positive, PositiveInt, ProperFraction, Spec


class RecurrentText(nn.Module):
    """Tokens (B, T), padded with 0, to outputs (B, outputs); padding changes nothing."""

    def __init__(self, words: Words, recurrent: Recurrent, pool: Pool, head: nn.Module) -> None:
        super().__init__()
        self.words, self.recurrent, self.pool, self.head = words, recurrent, pool, head

    def forward(self, x: Tensor) -> Tensor:
        x, lengths = unpadded(x)
        return self.head(self.pool(self.recurrent(self.words(x), lengths), lengths))


def recurrent_text(
    spec: Spec,
    outputs: int,
    *,
    cell: Cell = "lstm",
    embedding_size: PositiveInt = 128,
    units: PositiveInt = 128,
    layers: PositiveInt = 1,
    bidirectional: bool = True,
    pooling: Pooling = "max",
    dropout: ProperFraction = 0.5,
    embedding_dropout: ProperFraction = 0.0,
    word_dropout: ProperFraction = 0.0,
    embedding_range: Positive = 0.25,
    vectors: str | None = None,
    freeze_vectors: bool = False,
) -> nn.Module:
    """`head(pool(recurrent(words)))` with an LSTM, a GRU or Elman's network.

    `dropout` acts between recurrent layers and before the head. Word vectors begin as U(−embedding_range,
    embedding_range), or as the file `vectors` has them, which then gives their size.
    """
    needs_tokens(f"model={cell}_text", spec)
    table = embedding(spec, embedding_size, embedding_range, vectors, freeze_vectors)
    words = Words(table, embedding_dropout, word_dropout)
    recurrent = Recurrent(cell, words.width, units, layers, bidirectional, dropout)
    pool = Pool(pooling, recurrent.width, bidirectional)
    return RecurrentText(words, recurrent, pool, head(recurrent.width, outputs, dropout))
