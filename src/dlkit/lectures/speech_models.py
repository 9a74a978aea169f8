"""Speech: recurrent, convolutional and mixed networks over the same frames recognise vowels about equally well.

The speakers of the test are none of those in training. A vowel hardly changes while it lasts, so that the order of the
frames, which only a recurrent network sees as a whole, tells little: words could rank the three otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlkit.lectures.accuracies import accuracies, draw, majority
from dlkit.lectures.finding import Done, Finding, at_least, at_most


def figure(runs: Sequence[Done]) -> Finding:
    right, least = accuracies(runs), majority(runs[0])
    checks = [at_least(f"test accuracy: {name}", value, 0.6) for name, value in right.items()]
    apart = at_most("the best and the worst apart", max(right.values()) - min(right.values()), 0.15)
    return Finding(draw(runs, {"the most frequent": least}), [*checks, apart])
