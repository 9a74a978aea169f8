"""Texts: a convolutional and a recurrent network both tell by its letters in which language a name is written.

Names are short and a few letters betray the language, which is what windows of 3 to 5 letters look for: here the
convolutional network learns faster, and the LSTM more than the plain recurrent one. It need not be so for long texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.accuracies import accuracies, draw, majority
from dlkit.lectures.finding import Done, Finding, at_least


def figure(runs: Sequence[Done]) -> Finding:
    right, least = accuracies(runs), majority(runs[0])
    return Finding(
        draw(runs, {"the most frequent": least}),
        [
            at_least("test accuracy: lstm_text − the most frequent class", right["lstm_text"] - least, 0.4),
            at_least("cnn_text − the most frequent class", right["cnn_text"] - least, 0.4),
            at_least("cnn_text − lstm_text", right["cnn_text"] - right["lstm_text"], 0.01),
        ],
    )
