"""The encoder of tables: numbers scaled or cut into bins, missing ones filled in and marked, words as 0/1 or codes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.data.raw import Table
from dlkit.data.tables.numeric import Normalize, encode_numbers, fit_numbers, quantiles
from dlkit.types import PositiveInt

Categories = Literal["onehot", "embed"]
CHUNK = 1 << 16  # rows encoded at once, so that float64 copies stay small


class Columns:
    """Rows of a table -> float32 (N, F): numbers, then marks of what is missing, then categories.

    Numbers: none, standardize and minmax as in `Scale`; quantile: to a normal distribution; ple: each number as a
    vector of at most `bins` bins (tables/numeric.py). All is fitted on the observed training values. A missing number
    becomes its column's training median, and every column with missing ones in training gets a mark, 1 where missing.
    Categories: onehot: a column for each training word, "" among them where missing; a word that training has not is
    all zeros; embed: codes 1 … K for the model to embed, 0 for missing and unknown words.
    """

    def __init__(
        self, *, normalize: Normalize = "standardize", bins: PositiveInt = 48, categories: Categories = "onehot"
    ) -> None:
        self.normalize, self.bins, self.categories = normalize, bins, categories
        self.fill = torch.zeros(0, dtype=torch.float64)  # what becomes of a missing number, by column
        self.marked = torch.zeros(0, dtype=torch.bool)  # columns with missing numbers in training
        self.numeric: dict[str, Tensor] = {}
        self.levels: list[list[str]] = []  # training words by column
        self.number_names: list[str] = []  # of the columns; none where it was fitted on a tensor
        self.word_names: list[str] = []

    def fit(self, raw: Tensor | Table) -> None:
        """On numbers (N, F), NaN where missing, or a table that has words too."""
        numbers, words = _parts(raw)
        observed = [column[~column.isnan()] for column in numbers.double().T]
        observed = [column if len(column) else column.new_zeros(1) for column in observed]
        middle = torch.tensor([0.5], dtype=torch.float64)
        self.fill = torch.cat([quantiles(column, middle) for column in observed]) if observed else self.fill[:0]
        self.marked = numbers.isnan().any(0)
        self.numeric = fit_numbers(observed, self.normalize, self.bins) if observed else {}
        embed = self.categories == "embed"
        self.levels = [sorted(set(column) - {""} if embed else set(column)) for column in words]
        self.number_names, self.word_names = _names(raw)

    def encode(self, raw: Tensor | Table, device: torch.device | str = "cpu") -> Tensor:
        """Raw rows -> float32 (N, F) on `device`. Raises ValueError where they have not the columns of training,
        which are told by name where both have names."""
        self._check_names(raw)
        numbers, words = _parts(raw)
        count, known, levels = numbers.shape[1], len(self.fill), len(self.levels)
        if (count, len(words)) != (known, levels):
            raise ValueError(
                f"rows of {count} numbers and {len(words)} words, expected {known} and {levels} as trained"
            )
        device = torch.device(device)
        parts = [self._numbers(numbers, device)] if len(self.fill) else []
        if words:
            parts.append(self._codes(words).to(device) if self.categories == "embed" else self._onehot(words, device))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def promises(self) -> dict[str, Any]:
        """What it decides of the Spec: with embed how many codes each of the last columns has."""
        embed = self.categories == "embed"
        return {"kind": "tabular", "cardinalities": tuple(1 + len(words) for words in self.levels) if embed else ()}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and lists of words, for a checkpoint."""
        names = {"number_names": self.number_names, "word_names": self.word_names}
        return {"fill": self.fill, "marked": self.marked, "numeric": self.numeric, "levels": self.levels, **names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.fill, self.marked = state["fill"].cpu(), state["marked"].cpu()
        self.numeric = {name: tensor.cpu() for name, tensor in state["numeric"].items()}
        self.levels = [list(words) for words in state["levels"]]
        self.number_names = list(state.get("number_names", []))  # older states have none
        self.word_names = list(state.get("word_names", []))

    def _check_names(self, raw: Tensor | Table) -> None:
        known, given = self.number_names + self.word_names, raw.names if isinstance(raw, Table) else []
        if not known or not given or _names(raw) == (self.number_names, self.word_names):
            return
        missing, more = (", ".join(sorted(names)) for names in (set(known) - set(given), set(given) - set(known)))
        wrong = [f"missing {missing}"] * bool(missing) + [f"not known {more}"] * bool(more) or ["in another order"]
        numbers, words = (", ".join(names) or "none" for names in (self.number_names, self.word_names))
        raise ValueError(f"columns: {', '.join(wrong)}; expected as trained, numbers {numbers}, words {words}")

    def _numbers(self, numbers: Tensor, device: torch.device) -> Tensor:
        place = device if device.type != "mps" else torch.device("cpu")  # mps has no float64
        fill = self.fill.to(place, numbers.dtype)
        state = {name: tensor.to(place) for name, tensor in self.numeric.items()}
        marked = self.marked.nonzero().flatten().to(place)
        done = []
        for part in numbers.split(CHUNK):
            part = part.to(place)
            missing = part.isnan()
            encoded = encode_numbers(torch.where(missing, fill, part), self.normalize, state)
            done.append(torch.cat([encoded, missing[:, marked].float()], 1) if len(marked) else encoded)
        return (torch.cat(done) if len(done) > 1 else done[0]).to(device)

    def _codes(self, words: list[list[str]], first: int = 1) -> Tensor:
        """The place of each word among its column's levels, counted from `first`; one less where it has none there."""
        columns = []
        for column, levels in zip(words, self.levels, strict=True):
            place = {word: number for number, word in enumerate(levels, start=first)}
            columns.append(torch.tensor([place.get(word, first - 1) for word in column], dtype=torch.float32))
        return torch.stack(columns, 1)

    def _onehot(self, words: list[list[str]], device: torch.device) -> Tensor:
        codes = self._codes(words, first=0).to(device)
        steps = [torch.arange(len(levels), device=device) for levels in self.levels]
        return torch.cat([(codes[:, i, None] == step).float() for i, step in enumerate(steps)], 1)


def _parts(raw: Tensor | Table) -> tuple[Tensor, list[list[str]]]:
    """Numbers (N, F) and columns of words."""
    return (raw.numbers, raw.words) if isinstance(raw, Table) else (raw, [])


def _names(raw: Tensor | Table) -> tuple[list[str], list[str]]:
    """Names of the columns of numbers, and of those of words."""
    if not isinstance(raw, Table):
        return [], []
    count = raw.numbers.shape[1]
    return raw.names[:count], raw.names[count:]
