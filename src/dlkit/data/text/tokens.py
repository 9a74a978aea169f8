"""The encoder of texts: words, characters or pieces of words become whole numbers."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge

from dlkit.data.raw import Ragged, Texts
from dlkit.log import log
from dlkit.types import PositiveInt

Tokenizer = Literal["word", "char", "bpe"]
PADDING, UNKNOWN = 0, 1
SPECIAL = ("<padding>", "<unknown>")  # no token that a tokenizer here cuts looks so
BYTES = 256  # the first tokens of BPE: every text can be written with them

# Accents and vowel signs that stand behind their letter and that Python's \w leaves out: Latin, Hebrew, Arabic, India,
# Thai.
MARKS = "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e30-\u0e4e"
# Short forms are tokens of their own, as in the Penn treebank: "don't" and "do n't" both give do, n't.
SHORT = r"(?i:'(?:s|m|d|re|ve|ll)\b|n't\b)"
SHORT_FORM = re.compile(SHORT)
WORD = re.compile(rf"{SHORT}|[\w{MARKS}]+(?:'[\w{MARKS}]+)*|\S")


class Tokens:
    """Texts -> Ragged int64: 0 is padding and never inside a text, 1 is unknown, the others the vocabulary.

    word: words, English short forms (n't, 's) and single punctuation marks; char: characters; bpe: byte-level byte pair
    encoding (Sennrich et al. 2016; Radford et al. 2019), pieces of words that were merged most often, so that nothing
    is unknown. The vocabulary is that of the training split: tokens that occur `min_count` times or more (bpe: pairs
    that do are merged), the most frequent first, equals in the order of the alphabet, at most `max_size` with the two
    above. Characters are composed (Unicode NFC). Texts are cut after `max_length` tokens. One without any token
    becomes a single unknown, so that no length is 0.
    """

    def __init__(
        self,
        *,
        tokenizer: Tokenizer = "word",
        lower: bool = True,
        min_count: PositiveInt = 1,
        max_size: Annotated[int, Ge(3)] = 50000,
        max_length: PositiveInt = 512,
    ) -> None:
        if tokenizer == "bpe" and max_size < BYTES + len(SPECIAL):
            raise ValueError(f"data.max_size={max_size}: must be at least {BYTES + len(SPECIAL)} for tokenizer=bpe")
        self.tokenizer, self.lower = tokenizer, lower
        self.min_count, self.max_size, self.max_length = min_count, max_size, max_length
        self.vocabulary: tuple[str, ...] = ()  # fitted: words or characters; of bpe its pieces, in the letters of GPT-2
        self._bpe: Any = None  # fitted: a tokenizers.Tokenizer

    def fit(self, raw: Texts) -> None:
        """The vocabulary of these texts, of the part that `max_length` leaves. Raises ValueError where it is empty."""
        if self.tokenizer == "bpe":
            self._use_bpe(_trained((" ".join(self._normal(text).split()) for text in raw.texts), self))
            return
        counts: Counter[str] = Counter()
        for tokens in self._tokens(raw.texts):
            counts.update(tokens[: self.max_length])
        frequent = (token for token, count in counts.items() if count >= self.min_count)
        kept = sorted(frequent, key=lambda token: (-counts[token], token))[: self.max_size - len(SPECIAL)]
        if not kept:
            most = max(counts.values(), default=0)
            raise ValueError(f"data.min_count={self.min_count} leaves no token: the most frequent occurs {most} times")
        self.vocabulary = (*SPECIAL, *kept)

    def encode(self, raw: Texts, device: torch.device | str = "cpu") -> Ragged:
        """int64 tokens end to end and the lengths of the texts, none of them 0."""
        assert self.vocabulary, "encode before fit"
        values, lengths, cut = array("q"), [], 0
        for numbers in self._numbers(raw.texts):
            kept = numbers[: self.max_length] or [UNKNOWN]
            cut += len(numbers) > self.max_length
            values.extend(kept)
            lengths.append(len(kept))
        if cut:
            log.info("%d of %d texts are cut at data.max_length=%d tokens", cut, len(raw), self.max_length)
        flat = torch.frombuffer(values, dtype=torch.int64)
        return Ragged(flat.to(device), torch.tensor(lengths))

    def decode(self, tokens: torch.Tensor) -> list[str]:
        """Tokens (T,) -> the text of each that is no padding, with a space before it where it begins a word."""
        pieces = [self.vocabulary[number] for number in tokens.tolist() if number != PADDING]
        if self.tokenizer == "char":
            return pieces
        if self.tokenizer == "word":
            return [f" {piece}" for piece in pieces]
        from tokenizers.decoders import ByteLevel  # here: only for those who use it

        letters = ByteLevel()
        return [letters.decode([piece]) for piece in pieces]

    def promises(self) -> dict[str, Any]:
        """What it decides of the Spec. The pieces of bpe are not words, so they are not given."""
        words = () if self.tokenizer == "bpe" else self.vocabulary
        return {"kind": "tokens", "vocab_size": len(self.vocabulary), "vocabulary": words}

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the tokenizer's name, and its vocabulary or, of bpe, all of it in JSON."""
        bpe = "" if self._bpe is None else self._bpe.to_str()
        return {"tokenizer": self.tokenizer, "vocabulary": [] if bpe else list(self.vocabulary), "bpe": bpe}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`. Raises ValueError for the state of another tokenizer."""
        if state["tokenizer"] != self.tokenizer:
            raise ValueError(f"data.tokenizer={self.tokenizer}: the saved vocabulary is that of {state['tokenizer']}")
        if self.tokenizer == "bpe":
            from tokenizers import Tokenizer  # here: only for those who use it

            self._use_bpe(Tokenizer.from_str(state["bpe"]))
        else:
            self.vocabulary = tuple(state["vocabulary"])

    def _use_bpe(self, bpe: Any) -> None:
        pieces = sorted(bpe.get_vocab().items(), key=lambda item: item[1])
        self._bpe, self.vocabulary = bpe, (*SPECIAL, *(piece for piece, _ in pieces))

    def _normal(self, text: str) -> str:
        return unicodedata.normalize("NFC", text.lower() if self.lower else text)

    def _tokens(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, words or characters."""
        if self.tokenizer == "char":
            yield from (list(self._normal(text)) for text in texts)
            return
        for text in texts:
            yield WORD.findall(SHORT_FORM.sub(r" \g<0>", self._normal(text).replace("\u2019", "'")))

    def _numbers(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """The numbers of each text's tokens, before any cut."""
        if self.tokenizer != "bpe":
            number = {token: i for i, token in enumerate(self.vocabulary)}
            yield from ([number.get(token, UNKNOWN) for token in tokens] for tokens in self._tokens(texts))
            return
        parts = sorted({part for text in texts for part in self._normal(text).split()})
        encodings = self._bpe.encode_batch_fast(parts)  # each once: half the time of whole texts
        known = {part: [i + len(SPECIAL) for i in e.ids] for part, e in zip(parts, encodings, strict=True)}
        for text in texts:
            yield [number for part in self._normal(text).split() for number in known[part]]


def _trained(texts: Iterable[str], options: Tokens) -> Any:
    """A byte-level BPE trained on the texts. No special tokens: it would find their names in the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # here: only for those who use it

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=options.max_size - len(SPECIAL),
        min_frequency=options.min_count,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe
