"""How often models are right that learnt the same task: the picture that several lectures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from dlkit.lectures.finding import Done
from dlkit.plots.style import axes_of, blank, line


def accuracies(runs: Sequence[Done]) -> dict[str, float]:
    """On the test split, by the name of the model."""
    return {run.choices["model"]: run.result["metrics"]["test/accuracy"] for run in runs}


def majority(run: Done) -> float:
    """The test accuracy of saying always what is most frequent in training."""
    counts = run.model().spec.class_counts
    most = max(range(len(counts)), key=counts.__getitem__)
    return (run.data.targets("test") == most).float().mean().item()


def draw(runs: Sequence[Done], baselines: Mapping[str, float] | None = None) -> Figure:
    """Validation accuracy while they learn, and test accuracy at the end, also of what needs no training."""
    picture = blank(8.2, 3.4)
    learning, end = axes_of(picture, 1, 2, width_ratios=(1.2, 1))
    for i, run in enumerate(runs):
        learning.plot(*run.curve("val/accuracy"), **line(i), marker="o", markersize=3)
    names = [f"{run.choices['model']}\n{run.result['parameters']:,} weights" for run in runs]
    values = [*accuracies(runs).values(), *(baselines or {}).values()]
    colours = [*(line(i)["color"] for i in range(len(runs))), *["#888888"] * len(baselines or {})]
    bars = end.barh([*names, *(baselines or {})], values, color=colours, height=0.6)
    end.bar_label(bars, [f"{value:.1%}" for value in values], padding=3)
    learning.set(xlabel="step", ylabel="validation accuracy", ylim=(0, 1.02), xlim=(0, None))
    end.set(xlabel="test accuracy", xlim=(0, 1.2), xticks=(0, 0.5, 1))
    end.grid(False, axis="y")
    end.invert_yaxis()
    return picture
