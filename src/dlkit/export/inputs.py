"""The preprocessing that goes into an exported file: modules that compute what the encoders do, from raw tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlkit.data.audio.waves import QUIET, Waves
from dlkit.data.raw import Ragged, Table
from dlkit.data.scale import Scale
from dlkit.data.tables.columns import Columns
from dlkit.data.tables.numeric import encode_numbers
from dlkit.data.text.tokens import Tokens
from dlkit.types import Encoder


@dataclass(frozen=True)
class Input:
    """One input of an exported model."""

    name: str
    dtype: torch.dtype
    shape: tuple[str | int, ...]  # with the names of the axes that may have any length
    meaning: str

    @property
    def dynamic(self) -> dict[int, str]:
        """The axes that may have any length, and their names."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}


class Pixels(nn.Module):
    """Images, uint8 or float32 (B, C, H, W) -> (raw − shift) / scale."""

    shift: Tensor
    scale: Tensor

    def __init__(self, encoder: Scale) -> None:
        super().__init__()
        self.register_buffer("shift", encoder.shift)
        self.register_buffer("scale", encoder.scale)

    def forward(self, x: Tensor) -> Tensor:
        return (x.float() - self.shift) / self.scale


class Level(nn.Module):
    """Recordings (B, T), padding NaN -> at one level each, as `Waves` does."""

    def __init__(self, encoder: Waves) -> None:
        super().__init__()
        self.level = encoder.level

    def forward(self, x: Tensor) -> Tensor:
        if self.level == "none":
            return x
        inside = ~x.isnan()
        known = torch.where(inside, x, 0.0)
        if self.level == "peak":
            levels = known.abs().amax(1)
        else:
            levels = (known.square().sum(1) / inside.sum(1).clamp(min=1)).sqrt()
        return x / levels.clamp(min=QUIET).unsqueeze(1)


class Rows(nn.Module):
    """Numbers float (B, F), NaN where missing, and codes of words int64 (B, K) -> inputs of the model (B, …).

    A code is the word's place among its column's training words; any other number is a word that training has not.
    """

    fill: Tensor

    def __init__(self, encoder: Columns) -> None:
        super().__init__()
        self.normalize, self.embed = encoder.normalize, encoder.categories == "embed"
        self.sizes = [len(words) for words in encoder.levels]
        self.has_numbers = len(encoder.fill) > 0
        self.marked = encoder.marked.nonzero().flatten().tolist()
        self.register_buffer("fill", encoder.fill)
        self.names = list(encoder.numeric)
        for name, tensor in encoder.numeric.items():
            self.register_buffer(f"numeric_{name}", tensor)

    def forward(self, *inputs: Tensor) -> Tensor:
        parts = [self._numbers(inputs[0])] if self.has_numbers else []
        parts += [self._words(inputs[-1])] if self.sizes else []
        return torch.cat(parts, 1)

    def _numbers(self, x: Tensor) -> Tensor:
        missing = x.isnan()
        state = {name: getattr(self, f"numeric_{name}") for name in self.names}
        encoded = encode_numbers(torch.where(missing, self.fill.to(x.dtype), x), self.normalize, state)
        return torch.cat([encoded, missing[:, self.marked].float()], 1) if self.marked else encoded

    def _words(self, codes: Tensor) -> Tensor:
        if self.embed:
            sizes = torch.tensor(self.sizes)
            return torch.where((codes >= 0) & (codes < sizes), codes + 1, 0).float()
        columns = [codes[:, i, None] == torch.arange(size) for i, size in enumerate(self.sizes)]
        return torch.cat(columns, 1).float()


class AsGiven(nn.Module):
    """Tokens (B, T), padding 0, as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def front(encoder: Encoder) -> nn.Module:
    """The module for an encoder. Raises ValueError for one that is not dlkit's."""
    for kind, module in ((Scale, Pixels), (Waves, Level), (Columns, Rows)):
        if type(encoder) is kind:
            return module(encoder)  # type: ignore[arg-type]
    if type(encoder) is Tokens:
        return AsGiven()
    raise _foreign(encoder)


def _foreign(encoder: Encoder) -> ValueError:
    name = type(encoder).__name__
    return ValueError(f"data.encoder={name}: only dlkit's encoders go into a file; --format safetensors takes any")


def describe(encoder: Encoder, raw: Any, rate: int | None) -> list[Input]:
    """The inputs of an exported model; `raw` are examples, `rate` the sample rate in Hz."""
    if isinstance(encoder, Scale):
        what = "pixels 0 … 255" if raw.dtype is torch.uint8 else "values as in the training data, not scaled"
        return [Input("images", raw.dtype, ("batch", *raw.shape[1:]), f"{what}, channels first")]
    if isinstance(encoder, Waves):
        length = encoder.samples or "length"
        padding = "" if encoder.samples else ", NaN behind the end of shorter recordings"
        meaning = f"samples in [-1, 1] at {rate} Hz, mono{padding}"
        return [Input("recordings", torch.float32, ("batch", length), meaning)]
    if isinstance(encoder, Tokens):
        meaning = "numbers of tokens, 0 behind the end of shorter texts"
        return [Input("tokens", torch.int64, ("batch", "length"), meaning)]
    if not isinstance(encoder, Columns):
        raise _foreign(encoder)
    found = []
    if len(encoder.fill):
        names = f": {', '.join(encoder.number_names)}" if encoder.number_names else ""
        dtype = raw.numbers.dtype if isinstance(raw, Table) else raw.dtype
        meaning = f"the columns of numbers as they are, NaN where missing{names}"
        found.append(Input("numbers", dtype, ("batch", len(encoder.fill)), meaning))
    if encoder.levels:
        meaning = "the columns of words in categories.json, each as its place in that list, from 0; -1: any other word"
        found.append(Input("words", torch.int64, ("batch", len(encoder.levels)), meaning))
    return found


def tensors(encoder: Encoder, raw: Any) -> tuple[Tensor, ...]:
    """Raw examples as the inputs of an exported model."""
    if isinstance(encoder, Tokens):
        raw = encoder.encode(raw)
    if isinstance(raw, Ragged):
        return (raw.padded(torch.arange(len(raw))),)
    if not isinstance(raw, Table):
        return (raw,)
    assert isinstance(encoder, Columns)
    found = (raw.numbers,) if len(encoder.fill) else ()
    if not encoder.levels:
        return found
    places = [{word: i for i, word in enumerate(words)} for words in encoder.levels]
    codes = [[place.get(word, -1) for word in words] for place, words in zip(places, raw.words, strict=True)]
    return (*found, torch.tensor(codes).T.contiguous())
