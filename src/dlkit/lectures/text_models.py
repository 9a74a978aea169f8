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
    checks = [
        at_least(f"test accuracy: {name} − the most frequent class", value - least, 0.4)
        for name, value in right.items()
    ]
    if {"cnn_text", "lstm_text"} <= set(right):
        checks.append(at_least("cnn_text − lstm_text", right["cnn_text"] - right["lstm_text"], 0.01))
    return Finding(draw(runs, {"the most frequent": least}), checks)
