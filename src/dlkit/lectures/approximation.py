"""One hidden layer comes as close to a continuous function as one likes, if it is wide enough.

`sin πx` on [−1, 1]. That weights exist can be seen: n ReLU units with their kinks at equal distances `h = 2/n` make
the broken line through n + 1 points of the curve, whose error is at most `h²/8 · max |f″| = π²/2n²`. Trained nets
(tanh, Adam) are better than that at small widths, since they also choose where to bend; but from some width on their
error falls no longer as the bound does. The theorem says that good weights exist, not that descent finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dlkit.lectures.finding import Done, Finding, at_least, at_most
from dlkit.plots.style import axes_of, blank, line

PLACES = np.linspace(-1, 1, 2001)
CURVE = np.sin(np.pi * PLACES)


def figure(runs: Sequence[Done]) -> Finding:
    widths = np.array([run.config["model"]["hidden"][0] for run in runs])
    fits = [fitted(run) for run in runs]
    trained = np.array([np.abs(fit - CURVE).max() for fit in fits])
    built = np.array([np.abs(relu_net(n, PLACES) - CURVE).max() for n in widths])
    bound = np.pi**2 / (2 * widths**2)
    picture = blank(10)
    left, right = axes_of(picture, columns=2)
    left.plot(PLACES, CURVE, color="black", linewidth=2.5, label="sin πx")
    for i, which in enumerate((0, 1, 2)):
        left.plot(PLACES, fits[which], **line(i), label=f"{widths[which]} hidden unit{'s'[: widths[which] - 1]}")
    left.set(xlabel="x", ylabel="output")
    left.legend()
    right.plot(widths, trained, "o-", color=line(0)["color"], label="trained, tanh")
    right.plot(widths, built, "s-", color=line(1)["color"], label="built by hand, ReLU")
    right.plot(widths, bound, ":", color="black", label="bound π²/2n²")
    right.set(xlabel="hidden units n", ylabel="largest error", xscale="log", yscale="log")
    right.set_xticks(widths, [str(n) for n in widths])
    right.minorticks_off()
    right.legend()
    return Finding(
        picture,
        [
            at_most("built by hand: largest error, as part of the bound", (built / bound).max(), 1),
            at_most(f"built by hand: largest error of {widths[-1]} units", built[-1], 0.002),
            at_least(f"trained: largest error of {widths[0]} unit", trained[0], 0.5),
            at_most(f"trained: largest error of {widths[-1]} units", trained[-1], 0.02),
            at_most(f"trained {widths[2]} units: error over that of those built", trained[2] / built[2], 1),
            at_least(f"trained {widths[-1]} units: error over that of those built", trained[-1] / built[-1], 1),
        ],
    )


def fitted(run: Done) -> np.ndarray:
    """What the trained net says at `PLACES`."""
    return run.model().outputs(torch.from_numpy(PLACES).float().unsqueeze(1))[:, 0].double().numpy()


def relu_net(units: int, x: np.ndarray) -> np.ndarray:
    """`Σ_k c_k (x − t_k)₊ − b`, one hidden layer, whose weights are read off `sin πx` at `t_0 … t_units`.

    c_k is by how much the slope of the broken line changes at t_k.
    """
    knots = np.linspace(-1, 1, units + 1)
    heights = np.sin(np.pi * knots)
    change = np.diff(np.diff(heights) / np.diff(knots), prepend=0)
    return heights[0] + np.maximum(x[:, None] - knots[:-1], 0) @ change
