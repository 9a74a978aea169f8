"""A warmup can rescue a start that the full rate ruins, and a rate that falls ends at a lower training loss.

The setting was looked for: the weights begin twice as large as they should, and on the steep slopes there the first
full steps put units off for good, so that the loss stays at that of guessing; smaller steps lead to flatter ground
first. With a fitting initialisation no warmup is needed at this rate, and in most milder settings it makes no clear
difference. The loss is that of the training batches, which a rate that stays keeps shaking; on other examples the
constant rate may do as well or better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.plots.style import COLOURS, axes_of, blank, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIVERGED = 100.0
GUESSING = float(np.log(10))  # the loss where all ten classes are held for equally likely
SHOWN = ("constant", "cosine")  # the schedules whose losses are drawn step by step
LAST = 8  # logs of the last epoch
Curves = Mapping[str, "np.ndarray[Any, Any]"]  # by schedule


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(7, 7)
    top = axes_of(picture, 2, 2)
    found: list[Curves] = []
    for axes, warm, title in ((top[0], False, "without warmup"), (top[1], True, "with warmup")):
        chosen = {run.choices["scheduler"]: run for run in runs if bool(run.options["scheduler.warmup_steps"]) == warm}
        for i, (name, run) in enumerate(chosen.items()):
            width = 4 if name == "factor" else 1.5  # beneath exponential, which is the same
            axes.plot(*run.curve("lr"), **line(i), linewidth=width, label=name)
        axes.set(title=title, xlabel="step", ylabel="learning rate η", ylim=(0, 1.05 * runs[0].options["optim.lr"]))
        found.append({name: losses(run) for name, run in chosen.items()})
    steps = runs[0].curve("train/loss")[0]
    for i, (curves, name) in enumerate((one, name) for name in SHOWN if name in found[0] for one in found):
        label = f"{name}, {'warmup' if curves is found[1] else 'no warmup'}"
        top[2].plot(steps, curves[name], color=COLOURS[i // 2], linestyle=("--", "-")[i % 2], label=label)
    top[2].set(xlabel="step", ylabel="training loss", yscale="log", ylim=(5e-4, 150))
    above(top[2])
    ends = [{name: last(curve) for name, curve in curves.items()} for curves in found]
    compare(top[3], *ends)
    handles, labels = top[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=4)
    return Finding(picture, checks(*ends))


def checks(cold: Mapping[str, float], warm: Mapping[str, float]) -> list[Check]:
    """From the losses at the end, without and with a warmup, of the schedules that were run."""
    rescued = [cold[name] / warm[name] for name in cold if name != "one_cycle"]
    falling = [loss for name, loss in warm.items() if name != "constant"]
    found = []
    if rescued:
        what = "loss without warmup by loss with it, the least of all schedules but one_cycle"
        found.append(at_least(what, min(rescued), 5))
    if "one_cycle" in cold:
        found.append(at_most("loss with one_cycle, which begins low by itself", cold["one_cycle"], 0.2))
    if "constant" in warm and falling:
        ratio = warm["constant"] / np.median(falling)
        found.append(at_least("loss at a constant rate by the median of falling ones", ratio, 1.5))
    return found


def compare(axes: Axes, cold: Mapping[str, float], warm: Mapping[str, float]) -> None:
    """The losses at the end, a row for each schedule."""
    places = range(len(cold))
    axes.hlines(places, list(warm.values()), list(cold.values()), color="#bbbbbb", zorder=1)
    axes.scatter(list(cold.values()), places, facecolor="white", edgecolor="black", label="no warmup", zorder=2)
    axes.scatter(list(warm.values()), places, color="black", label="warmup", zorder=2)
    axes.axvline(GUESSING, color="#888888", linestyle=":", linewidth=1)
    axes.set_yticks(places, list(cold))
    axes.invert_yaxis()
    axes.set(xlabel=f"training loss, last epoch ({DIVERGED:g}: diverged)", xscale="log")
    above(axes)


def above(axes: Axes) -> None:
    """The legend in the title's place."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize=8)


def losses(run: Done) -> np.ndarray[Any, Any]:
    """The mean training loss between logs, DIVERGED from where it is not finite or more than that."""
    values = np.array(run.curve("train/loss")[1], dtype=float)
    return np.minimum(np.nan_to_num(values, nan=DIVERGED), DIVERGED)


def last(curve: np.ndarray[Any, Any]) -> float:
    return float(curve[-LAST:].mean())
