"""A large net learns 96 noisy points by heart; dropout, and batch norm as well, keeps it good on other points.

That batch norm regularises is a side effect of its noise: in training an example's output depends on the rest of its
batch. The curves of training are those of its batches, with that noise and with units left out, so they may lie above
the validation's; the gap is that of the model as it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(2.05 * len(runs), 3.2)
    gap, loss = {}, {}
    for axes, run in zip(axes_of(picture, 1, len(runs), sharey=True), runs, strict=True):
        name = means(run)
        axes.plot(*run.curve("train/loss"), **line(0), label="training")
        axes.plot(*run.curve("val/loss"), **line(1), label="validation")
        end = run.result["metrics"]  # with all units, in evaluation mode
        gap[name], loss[name] = end["val/loss"] - end["train/loss"], end["val/loss"]
        axes.set(title=f"{name}\ngap at the end {gap[name]:.2f}", xlabel="step", ylim=(0, 1.2))
        axes.title.set_fontsize(11)
    picture.axes[0].set_ylabel("loss")
    picture.axes[0].legend(loc="upper left", frameon=False)
    alone = [name for name in gap if name != "neither" and "\n" not in name]
    return Finding(
        picture,
        [
            at_least("validation loss − training loss at the end: neither", gap["neither"], 0.5),
            *(
                at_most(f"this gap with {name}, part of that without", gap[name] / gap["neither"], 0.4)
                for name in alone
            ),
            *(at_least(f"validation loss: neither − {name}", loss["neither"] - loss[name], 0.25) for name in alone),
        ],
    )


def means(run: Done) -> str:
    """What the run has against overfitting, in words."""
    dropout = run.options["model.dropout"]
    found = [f"dropout {dropout:g}"] * (dropout > 0) + ["batch norm"] * run.options["model.batch_norm"]
    return ",\n".join(found) or "neither"
