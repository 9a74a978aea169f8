"""The bag of words and word n-grams of Joulin et al. (2016)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkit.models.fit import needs_tokens
from dlkit.models.sequence import head, unpadded
from dlkit.models.vectors import embedding
from dlkit.types import Positive, PositiveInt, ProperFraction, Spec

# Of the polynomial hash, modulo a prime so that products stay below 2⁶³ (Mersenne's 2³¹ − 1).
MODULUS, FACTOR = 2**31 - 1, 1_103_515_245


class FastText(nn.Module):
    """Tokens (B, T), padded with 0, to outputs (B, outputs); padding changes nothing."""

    def __init__(
        self, table: nn.Embedding, words: int, ngrams: int, outputs: int, dropout: float, word_dropout: float
    ) -> None:
        super().__init__()
        self.words, self.ngrams = words, ngrams
        self.buckets = table.num_embeddings - words
        self.embedding = table
        self.word_dropout = word_dropout
        self.head = head(table.embedding_dim, outputs, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = unpadded(x)
        bag = torch.cat([x, *(self.grams(x, n) for n in range(2, self.ngrams + 1))], 1)
        if self.training and self.word_dropout:
            bag = bag.where(torch.rand(bag.shape, device=bag.device) >= self.word_dropout, 0)
        count = (bag != 0).sum(1, keepdim=True).clamp(min=1)
        return self.head(self.embedding(bag).sum(1) / count)  # row 0 is zeros

    def grams(self, x: Tensor, n: int) -> Tensor:
        """The rows of the n-grams that begin at each token (B, T); 0 where one would reach beyond the text."""
        padded = F.pad(x, (0, n - 1))
        hashed = torch.zeros_like(x)
        for i in range(n):
            hashed = (hashed * FACTOR + padded[:, i : i + x.shape[1]]) % MODULUS
        return (self.words + hashed % self.buckets).where(padded[:, n - 1 :] != 0, 0)


def fasttext(
    spec: Spec,
    outputs: int,
    *,
    embedding_size: PositiveInt = 32,
    ngrams: PositiveInt = 2,
    buckets: PositiveInt = 2**17,
    dropout: ProperFraction = 0.0,
    word_dropout: ProperFraction = 0.0,
    embedding_range: Positive = 0.1,
    vectors: str | None = None,
) -> nn.Module:
    """A linear layer on the mean of the vectors of all words and n-grams of up to `ngrams` words.

    Joulin et al. (2016), section 2. The n-grams share `buckets` vectors: which is whose, a hash tells. Every vector is
    updated at every step, so a step's cost grows with (words + buckets) · embedding_size. `vectors` is for the words.
    """
    words = needs_tokens("model=fasttext", spec)
    more = buckets if ngrams > 1 else 0
    table = embedding(spec, embedding_size, embedding_range, vectors, more=more)
    return FastText(table, words, ngrams, outputs, dropout, word_dropout)
