"""Whether an exported model says what the model says, on real examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlkit.answers import in_own_unit, probabilities
from dlkit.data.raw import Ragged
from dlkit.data.reading.workers import read_batches
from dlkit.evaluation.data import Seen
from dlkit.trained import Trained

EXAMPLES = 64  # looked at, at most
# Of probabilities; of values and scores in units of their deviation. Float32 itself is off by 2e-5 where a logarithm
# is taken of next to nothing, as in the upper half of the spectra of recordings at 8 kHz that were resampled to 16 kHz.
TOLERANCE = 1e-4


class Differs(RuntimeError):
    """An exported model that says something else than the model."""


@dataclass(frozen=True)
class Checked:
    """How an exported model compares."""

    split: str
    examples: int
    sizes: tuple[int, ...]  # of the batches
    lengths: tuple[int, ...]  # of the batches' sequences, where these vary
    difference: float  # the largest

    def __str__(self) -> str:
        batches = f"in batches of {_listed(self.sizes)}"
        lengths = f" and lengths {_listed(self.lengths)}" if self.lengths else ""
        many = f"{self.examples} examples of {self.split}, {batches}{lengths}"
        return f"{many}: largest difference {self.difference:.1e}, at most {TOLERANCE:g} allowed"


def real_examples(seen: Seen) -> tuple[str, Any]:
    """A split, and raw examples from all over it: of the test split, else validation, else training."""
    split = seen.chosen(None)[0]
    count = len(seen.places[split][1])
    rows = torch.linspace(0, count - 1, min(EXAMPLES, count)).long()
    own, places = seen.places[split]
    return split, next(read_batches(seen.examples.splits[own][0], iter([places[rows]]), start_late=True))


@torch.no_grad()
def answers(trained: Trained, raw: Any) -> Tensor:
    """What the model says of raw examples in float32: probabilities, scores or values in the targets' unit."""
    x = trained.encoder.encode(raw)
    out = trained.model(x.padded(torch.arange(len(x))) if isinstance(x, Ragged) else x)
    if trained.spec.task == "regression":
        return in_own_unit(trained.spec, out)
    found = probabilities(trained.measure.loss, out)
    if found is None:
        return torch.cat([-out, out], 1) if out.shape[1] == 1 else out
    return found


def compare(trained: Trained, seen: Seen, split: str, raw: Any, exported: Callable[[Any], Tensor]) -> Checked:
    """Compares on all examples together and on the shortest and the longest (else the first) alone.

    Raises Differs where they differ by more than `TOLERANCE`.
    """
    x = trained.encoder.encode(raw)
    several = isinstance(x, Ragged)
    ends = [int(x.lengths.argmin()), int(x.lengths.argmax())] if isinstance(x, Ragged) else [0]
    batches = [raw, *(raw[torch.tensor([row])] for row in dict.fromkeys(ends))]
    unit = _unit(trained, seen, split)
    worst = 0.0
    for batch in batches:
        wanted = answers(trained, batch).double()
        with torch.no_grad():
            found = exported(batch).double()
        if found.shape != wanted.shape:
            raise Differs(f"the exported model gives {tuple(found.shape)}, the model {tuple(wanted.shape)}")
        scale = unit if unit is not None else wanted.abs().clamp(min=1)
        difference = float(((found - wanted).abs() / scale).max())
        if not difference <= TOLERANCE:  # NaN too
            raise Differs(
                f"the exported model differs from the model by {difference:.2g} on {len(wanted)} examples of {split} "
                f"(at most {TOLERANCE:g} allowed), so it was removed"
            )
        worst = max(worst, difference)
    lengths = (int(x.lengths.min()), int(x.lengths.max())) if isinstance(x, Ragged) else ()
    return Checked(split, len(raw), (len(raw), 1), lengths if several else (), worst)


def _unit(trained: Trained, seen: Seen, split: str) -> Tensor | None:
    """The deviation of a regression's targets (T,), else None."""
    spec = trained.spec
    if spec.task != "regression":
        return None
    if spec.target_std:
        return torch.tensor(spec.target_std, dtype=torch.float64)
    y = seen.examples.splits[seen.places[split][0]][1].double()
    deviation = y.std(0, correction=0)
    return torch.where(deviation > 0, deviation, 1.0)


def _listed(numbers: tuple[int, ...]) -> str:
    return " and ".join(map(str, dict.fromkeys(numbers)))
