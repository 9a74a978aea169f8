"""What a trained model expects of data that it is to see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dlkit.data.examples import Examples
from dlkit.data.reading.classes import listed
from dlkit.types import Spec


@dataclass(frozen=True)
class Fitted:
    """What a model was trained on: the Spec of its data, and the state of the encoder that was fitted there."""

    spec: Spec
    encoder: dict[str, Any]

    def classed(self, examples: Examples) -> Examples:
        """The examples with their classes numbered as in training, told by name.

        Raises ValueError for another task, other classes, another number of targets or another sample rate.
        """
        spec = self.spec
        if examples.task != spec.task:
            raise ValueError(f"this data is for {examples.task}, the model was trained for {spec.task}")
        if examples.sample_rate != spec.sample_rate:
            raise ValueError(
                f"data.sample_rate={examples.sample_rate}: the model was trained on recordings at {spec.sample_rate} Hz"
            )
        if spec.task == "regression":
            targets = examples.splits["train"][1].shape[1]
            if targets != spec.num_outputs:
                raise ValueError(f"this data has {targets} targets, the model was trained for {spec.num_outputs}")
            return examples
        if examples.classes == spec.classes:
            return examples
        return replace(examples, splits=self._renumbered(examples), classes=spec.classes)

    def _renumbered(self, examples: Examples) -> dict[str, tuple[Any, Tensor]]:
        found = torch.cat([y for _, y in examples.splits.values()]).unique().tolist()
        strangers = [examples.classes[i] for i in found if examples.classes[i] not in self.spec.classes]
        if strangers:
            raise ValueError(
                f"class {listed(strangers)}: not known to the model, which tells {listed(self.spec.classes)} apart; "
                "classes are matched by name"
            )
        places = [self.spec.classes.index(name) if name in self.spec.classes else -1 for name in examples.classes]
        number = torch.tensor(places, dtype=torch.int64)
        return {name: (x, number[y]) for name, (x, y) in examples.splits.items()}

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError where images or rows (…) are of another shape. Sequences may be of any length."""
        if self.spec.kind in ("image", "tabular") and shape != self.spec.input_shape:
            here, there = (" x ".join(map(str, one)) for one in (shape, self.spec.input_shape))
            raise ValueError(f"{self.spec.kind} examples of {here}, the model was trained on {there}")
