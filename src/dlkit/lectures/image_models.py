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
    ahead = {name: value - right["logreg"] for name, value in right.items()}
    return Finding(
        draw(runs),
        [
            at_least("test accuracy: cnn − logreg", ahead["cnn"], 0.03),
            at_least("cnn_rnn − logreg", ahead["cnn_rnn"], 0.03),
            at_most("cnn and cnn_rnn apart", abs(right["cnn"] - right["cnn_rnn"]), 0.03),
        ],
    )
