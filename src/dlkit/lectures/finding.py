"""What a figure shows: the picture, and the numbers that its claim rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlkit.records import parsed
from dlkit.runs import read_config, read_json
from dlkit.settings import leaves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlkit.trained import Trained
    from dlkit.types import Batch, Data


class Check(NamedTuple):
    """A number, and what the claim says of it."""

    what: str  # "zero weights with l1, share"
    value: float
    expected: str  # "at least 0.3"
    holds: bool


def at_least(what: str, value: float, bound: float) -> Check:
    return Check(what, float(value), f"at least {bound:g}", bool(value >= bound))


def at_most(what: str, value: float, bound: float) -> Check:
    return Check(what, float(value), f"at most {bound:g}", bool(value <= bound))


@dataclass
class Finding:
    """What the runs of one seed show."""

    figure: Figure
    checks: Sequence[Check]


@dataclass(frozen=True)
class Done:
    """A run that is over, as its folder tells."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_config(self.folder)

    @cached_property
    def result(self) -> dict[str, Any]:
        return read_json(self.folder / "result.json")

    @cached_property
    def options(self) -> dict[str, Any]:
        """The config's values by dotted key: optim.lr."""
        return dict(leaves(self.config))

    @cached_property
    def choices(self) -> dict[str, str]:
        """The file chosen of each group: optim, adam."""
        return dict(read_json(self.folder / "env.json").get("choices") or {})

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        with (self.folder / "metrics.jsonl").open("rb") as file:
            return [parsed(line) for line in file]

    def curve(self, name: str, against: str = "step") -> tuple[list[float], list[float]]:
        """Where the figure `name` was logged or evaluated (`step` or `epoch`), and its values."""
        rows = [row for row in self.metrics if name in row]
        return [row[against] for row in rows], [row[name] for row in rows]

    def model(self, weights: str | None = None) -> Trained:
        """The trained model, `last` or what the config's `final` says."""
        from dlkit import trained

        return trained.load(self.folder, weights=weights, device="cpu", trust=True)

    @cached_property
    def data(self) -> Data:
        """What the run was trained on, read anew, encoded as then."""
        from dlkit.parts import build_data

        trained = self.model()
        return build_data(trained.config, trained.trainer, trained.measure.device)

    def examples(self, split: str) -> Batch:
        """All of a split, in its order: train, val or test. Inputs of one shape only."""
        import torch

        from dlkit.types import Batch

        batches = list(self.data.eval(split))
        return Batch(torch.cat([batch.x for batch in batches]), torch.cat([batch.y for batch in batches]))
