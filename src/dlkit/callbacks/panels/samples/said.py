"""What a model says of examples, in words, and which of its answers are worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlkit.answers import in_own_unit, predicted_classes, probabilities, worst_classes, worst_numbers
from dlkit.state import State

LETTERS = 16  # of a caption in one line


@dataclass(frozen=True)
class Said:
    """What the model says of an example."""

    true: str
    predicted: str
    is_wrong: bool  # of numbers: never
    sure: str  # probability of the predicted class; "" where there is none

    def caption(self, number: str = "") -> list[str]:
        """One line or two, with a number before it."""
        answer = f"{self.predicted} {self.sure}".strip()
        if self.true == self.predicted:
            return [number + answer]
        both = f"{number}{self.true} → {answer}"
        return [both] if len(both) <= LETTERS else [f"{number}{self.true} →", answer]


def told(state: State, out: Tensor, y: Tensor) -> list[Said]:
    """Answers in words, of outputs (n, K) to targets (n, …)."""
    spec = state.spec
    if spec.task == "regression":
        pairs = zip(in_own_unit(spec, y).tolist(), in_own_unit(spec, out).tolist(), strict=True)
        return [Said(_numbers(true), _numbers(guess), False, "") for true, guess in pairs]
    assert state.measure is not None
    p = probabilities(state.measure.loss, out.double())
    guesses = predicted_classes(out.double().numpy()).tolist()
    sure = [""] * len(y) if p is None else [f"{p[i, guess]:.2f}" for i, guess in enumerate(guesses)]
    return [
        Said(spec.classes[true], spec.classes[guess], true != guess, share)
        for true, guess, share in zip(y.tolist(), guesses, sure, strict=True)
    ]


def worst(state: State, out: Tensor, y: Tensor, count: int) -> Tensor:
    """The places of the worst answers among outputs (N, K) to targets (N, …), the worst first."""
    if state.spec.task == "regression":
        rows = worst_numbers(*(in_own_unit(state.spec, numbers).numpy() for numbers in (y, out)), count=count)
    else:
        assert state.measure is not None
        wide = out.double()
        p = probabilities(state.measure.loss, wide)
        shares = None if p is None else p.numpy()
        rows = worst_classes(y.numpy(), wide.numpy(), shares, state.spec.classes, count=count)
    return torch.tensor([row["index"] for row in rows], dtype=torch.long)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values[:3]) + (" …" if len(values) > 3 else "")
