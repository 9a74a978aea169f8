"""Per update 32 examples go nearly as far as all; per example seen small batches are far ahead, but shaky.

Each size with the best of its rates. At a constant rate small batches never settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

Array = np.ndarray[Any, Any]
SIZES = {"full": "all examples", "32": "32 examples", "1": "one example"}
PASS = 40  # updates with batches of 32


def figure(runs: Sequence[Done]) -> Finding:
    picture = blank(7, 4)
    left, right = axes_of(picture, 1, 2, sharey=True)
    losses = {}
    for i, (size, name) in enumerate(SIZES.items()):
        run = best([run for run in runs if str(run.options["data.batch_size"]) == size])
        steps, values = run.curve("val/loss")
        left.plot(steps, values, **line(i), label=f"{name}, η = {run.options['optim.lr']:g}", zorder=3 - i)
        right.plot(run.curve("val/loss", against="epoch")[0], values, **line(i), zorder=3 - i)
        losses[size] = np.array(values)
    left.set(xlabel="updates", ylabel="validation loss", xscale="log", yscale="log")
    right.set(xlabel="passes over the training examples", xscale="log")
    picture.legend(loc="outside lower center", ncols=3, title="a batch")
    return Finding(picture, checks(*losses.values()))


def checks(full: Array, some: Array, one: Array) -> list[Check]:
    """From the losses after each update; those of batches shake, so that means over some are compared."""
    full_here, some_here, one_here = (np.mean(losses[15:25]) for losses in (full, some, one))
    after_one_pass = np.mean(some[PASS - 5 : PASS + 5])
    return [
        at_most("loss after 20 updates by that of all examples: batches of 32", some_here / full_here, 1.5),
        at_least("the same: one example", one_here / full_here, 2),
        at_least("loss of all examples after one pass: by that of batches of 32", full[0] / after_one_pass, 3),
        at_least("the same: by one example's after less than a pass", full[0] / np.mean(one[-100:]), 2),
        at_most("share of updates that raise the loss: all examples", _rises(full), 0.05),
        at_least("the same: one example", _rises(one), 0.2),
    ]


def best(runs: Sequence[Done]) -> Done:
    """The one with the least loss over the last tenth of its updates."""
    return min(runs, key=lambda run: np.mean(run.curve("val/loss")[1][-len(run.curve("val/loss")[0]) // 10 :]))


def _rises(losses: Array) -> float:
    return float((np.diff(losses) > 0).mean())
