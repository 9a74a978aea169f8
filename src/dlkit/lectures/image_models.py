"""Images: a CNN, and a recurrent layer over a CNN's columns, are more often right than a linear model, and alike.

On 8 × 8 pixels they are hardly ahead of a multilayer perceptron, which sees all pixels at once: what convolutions save
is weights and examples, the more the larger the images.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.accuracies import accuracies, draw
from dlkit.lectures.finding import Done, Finding, at_least, at_most


def figure(runs: Sequence[Done]) -> Finding:
    right = accuracies(runs)
    seeing = {name: right[name] for name in ("cnn", "cnn_rnn") if name in right}  # where pixels stand
    ahead = [
        at_least(f"test accuracy: {name} − logreg", value - right["logreg"], 0.03) for name, value in seeing.items()
    ]
    apart = [at_most("cnn and cnn_rnn apart", abs(seeing["cnn"] - seeing["cnn_rnn"]), 0.03)] if len(seeing) > 1 else []
    return Finding(draw(runs), [*ahead, *apart])
