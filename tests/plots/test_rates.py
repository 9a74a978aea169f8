"""Pictures of learning rates."""

from __future__ import annotations

import numpy as np

from dlkit.plots.rates import range_test, schedule


def test_a_schedule_is_the_rate_of_every_step_and_long_runs_keep_their_last() -> None:
    rates = [1 / (1 + t) for t in range(5003)]
    line = schedule(rates, 10, "title").axes[0].lines[0]
    xs, ys = line.get_xdata(), line.get_ydata()
    assert [ys[i] for i in range(len(xs))] == [rates[int(x) - 1] for x in xs]
    assert (xs[0], xs[-1], len(xs) < 2600) == (1, 5003, True)


def test_a_range_test_has_every_loss_their_mean_and_the_suggestion_over_the_logarithm_of_the_rate() -> None:
    rates, losses, means = np.geomspace(1e-3, 1, 20).tolist(), [2.0, 1.0] * 10, [1.5] * 20
    axes = range_test(rates, losses, means, 0.02, "title").axes[0]
    raw, mean, suggestion = axes.lines
    assert list(raw.get_xdata()) == list(mean.get_xdata()) == rates
    assert (list(raw.get_ydata()), list(mean.get_ydata())) == (losses, means)
    assert list(suggestion.get_xdata()) == [0.02, 0.02]
    assert axes.get_xscale() == "log"
    assert len(range_test(rates, losses, means, None, "title").axes[0].lines) == 2
