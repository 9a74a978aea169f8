"""With batch norm a net learns fast whatever the scale of its first weights; without it only near the right one.

Batch norm makes a layer's output the same for weights of any scale, and so makes training safe rather than fast: from
weights of the right scale, He's √(2/n), the same net learns as fast without it, where a course may promise more.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

LEVEL = 0.3  # of the training loss, that is to be reached
RIGHT = 0.125  # √(2/n), n = 128


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank()
    (axes,) = axes_of(picture)
    last = runs[0].result["step"]
    needed: dict[bool, dict[float, float]] = {False: {}, True: {}}
    loss: dict[float, float] = {}  # at the end, without batch norm
    for run in runs:
        std, norm = run.options["init.std"], run.options["model.batch_norm"]
        steps, losses = run.curve("train/loss")
        needed[norm][std] = next((step for step, now in zip(steps, losses, strict=True) if now < LEVEL), last)
        if not norm:
            loss[std] = losses[-1]
    for norm, name in ((False, "without"), (True, "with batch norm")):
        axes.plot(*zip(*sorted(needed[norm].items()), strict=True), **line(int(norm)), marker="o", label=name)
    axes.axvline(RIGHT, color="#888888", linewidth=1, linestyle=":")
    axes.annotate("√(2/n)", (RIGHT, 0.97 * last), xytext=(5, 0), textcoords="offset points", va="top")
    stds = sorted(loss)
    axes.set(xscale="log", xlabel="standard deviation of the first weights", ylabel=f"steps until the loss is {LEVEL}")
    axes.set_xticks(stds, [f"{std:g}" for std in stds])
    axes.set_yticks([0, 100, 200, last], ["0", "100", "200", "never"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="center left")
    small = [needed[True][std] for std in stds if std <= RIGHT]
    at_right = [needed[False][std] / needed[True][std] for std in stds if std == RIGHT]
    return Finding(
        picture,
        [
            at_most("steps with batch norm, at most", max(needed[True].values()), 0.9 * last),
            at_most("from weights up to √(2/n), most / least", max(small) / min(small), 2),
            at_least(f"loss without batch norm after {last} steps, from {stds[0]:g}", loss[stds[0]], 1),
            at_least(f"from {stds[-1]:g}", loss[stds[-1]], 1),
            *(at_most("steps without / with batch norm, from √(2/n)", ratio, 1.7) for ratio in at_right),
        ],
    )
