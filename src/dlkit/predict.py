"""What a trained model says of raw inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from dlkit.data.inputs import Example, Inputs, inputs_for
from dlkit.data.raw import Ragged, Table, Texts
from dlkit.metrics import predicted_class
from dlkit.types import Encoder, Loss, Spec

AT_ONCE = 64  # inputs that go through the model together
LARGEST = 1 << 24  # values of padded sequences that do


@dataclass(frozen=True, repr=False)
class Prediction:
    """What the model says of one input: a class, or numbers.

    `input` is its path, `path:line` or text, and "" for what has no name. `scores` stand in the place of probabilities
    where the loss gives none: the outputs of the model, the more the likelier; of a single one its negative and itself.
    """

    input: str = ""
    label: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)  # by class, the most probable first
    scores: dict[str, float] = field(default_factory=dict)  # likewise
    values: tuple[float, ...] = ()  # of a regression, in the targets' own units

    @property
    def probability(self) -> float | None:
        """Of the label; None where the loss gives no probabilities."""
        return self.probabilities.get(self.label)

    @property
    def score(self) -> float | None:
        """Of the label, where there are no probabilities."""
        return self.scores.get(self.label)

    @property
    def value(self) -> float | None:
        """The number, of a regression with one target."""
        return self.values[0] if len(self.values) == 1 else None

    def __repr__(self) -> str:
        said = [repr(self.input)] if self.input else []
        said += [f"label={self.label!r}"] if self.label else []
        for name in ("probability", "score", "value"):
            number = getattr(self, name)
            said += [] if number is None else [f"{name}={number:.4g}"]
        if len(self.values) > 1:
            said.append(f"values=({', '.join(f'{one:.4g}' for one in self.values)})")
        return f"Prediction({', '.join(said)})"


class Predictor:
    """Predicts from raw inputs of the kind that the model was trained on.

    `outputs` gives the model's for encoded inputs; `source` is the node `data` of the run's config.
    """

    def __init__(
        self, outputs: Callable[[Tensor], Tensor], spec: Spec, encoder: Encoder, loss: Loss, source: Mapping[str, Any]
    ):
        self.outputs, self.spec, self.encoder, self.loss, self.source = outputs, spec, encoder, loss, source

    def inputs(self, column: str | int | None = None) -> Inputs:
        """The reader of files for this model. Raises ValueError where its encoder is not dlkit's."""
        return inputs_for(self.spec, self.encoder, self.source, column)

    def __call__(self, given: Any) -> Prediction | list[Prediction]:
        """A prediction, or one for each input in a list or another container of several; `Trained.predict`."""
        try:
            inputs = self.inputs()
        except ValueError:
            if not isinstance(given, Tensor | Texts | Ragged | Table):
                raise
            parts = torch.arange(len(given)).split(AT_ONCE)
            return [one for part in parts for one in self.of([""] * len(part), given[part])]
        several = inputs.several(given)
        examples = (Example(_name(value), inputs.raw(value)) for value in ([given] if several is None else several))
        found = [one for batch in self.stream(inputs, examples) for one in batch]
        return found[0] if several is None else found

    def stream(
        self,
        inputs: Inputs,
        examples: Iterable[Example],
        *,
        batch_size: int = AT_ONCE,
        report: Callable[[Example], None] = lambda example: None,
    ) -> Iterator[list[Prediction]]:
        """Predictions of the examples in their order, in batches; those that are no good go to `report`."""
        rest = iter(examples)
        while chunk := list(islice(rest, batch_size)):
            good = []
            for example in chunk:
                if example.why:
                    report(example)
                else:
                    good.append(example)
            if good:
                yield self.of([one.name for one in good], inputs.batch([one.raw for one in good]))

    @torch.no_grad()
    def of(self, names: Sequence[str], raw: Any) -> list[Prediction]:
        """Predictions of raw examples, as the encoder takes them."""
        encoded = self.encoder.encode(raw)
        if isinstance(encoded, Ragged):
            size = max(1, LARGEST * len(encoded) // torch.Size(encoded.shape).numel())
            parts = torch.arange(len(encoded)).split(size)
            out = torch.cat([self.outputs(encoded.padded(part)) for part in parts])
        else:
            out = self.outputs(encoded)
        if self.spec.task == "regression":
            return [Prediction(name, values=tuple(row)) for name, row in zip(names, self._numbers(out), strict=True)]
        return self._classes(names, out)

    def _classes(self, names: Sequence[str], out: Tensor) -> list[Prediction]:
        classes = self.spec.classes
        linked = True
        try:
            figures = self.loss.probabilities(out)
        except ValueError:  # a loss without a link
            linked, figures = False, torch.cat([-out, out], 1) if out.shape[1] == 1 else out
        labels = predicted_class(out).tolist()
        made = []
        for name, label, row in zip(names, labels, figures.tolist(), strict=True):
            order = sorted(range(len(row)), key=lambda i: (i != label, -row[i]))
            said = {classes[i]: row[i] for i in order}
            made.append(Prediction(name, classes[label], said if linked else {}, {} if linked else said))
        return made

    def _numbers(self, out: Tensor) -> list[list[float]]:
        """In the targets' own units."""
        values = out.cpu().double()
        if self.spec.target_std:
            mean, deviation = (torch.tensor(one).double() for one in (self.spec.target_mean, self.spec.target_std))
            values = values * deviation + mean
        return values.tolist()


def _name(value: Any) -> str:
    """What a prediction calls an input: a path or a text."""
    return str(value) if isinstance(value, str | os.PathLike) else ""
