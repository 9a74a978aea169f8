"""A large net learns 96 noisy points by heart; dropout, and batch norm as well, keeps it good on other points.

That batch norm regularises is a side effect of its noise: in training an example's output depends on the rest of its
batch. The curves of training are those of its batches, with that noise and with units left out, so they may lie above
the validation's; the gap is that of the model as it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

TITLES = {(0, False): "neither", (0.5, False): "dropout 0.5", (0, True): "batch norm", (0.5, True): "both"}


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(8.2, 3.2)
    gap, loss = {}, {}
    for axes, run in zip(axes_of(picture, 1, 4, sharey=True), runs, strict=True):
        title = TITLES[run.options["model.dropout"], run.options["model.batch_norm"]]
        axes.plot(*run.curve("train/loss"), **line(0), label="training")
        axes.plot(*run.curve("val/loss"), **line(1), label="validation")
        end = run.result["metrics"]  # with all units, in evaluation mode
        gap[title], loss[title] = end["val/loss"] - end["train/loss"], end["val/loss"]
        axes.set(title=f"{title}\ngap at the end {gap[title]:.2f}", xlabel="step", ylim=(0, 1.2))
        axes.title.set_fontsize(11)
    picture.axes[0].set_ylabel("loss")
    picture.axes[0].legend(loc="upper left", frameon=False)
    return Finding(
        picture,
        [
            at_least("validation loss − training loss at the end: neither", gap["neither"], 0.5),
            at_most("this gap with dropout, part of that without", gap["dropout 0.5"] / gap["neither"], 0.4),
            at_most("with batch norm", gap["batch norm"] / gap["neither"], 0.4),
            at_least("validation loss: neither − dropout", loss["neither"] - loss["dropout 0.5"], 0.25),
            at_least("neither − batch norm", loss["neither"] - loss["batch norm"], 0.25),
        ],
    )
