"""A learning rate that is too small crawls, a good one is fast, and one above 2/λ diverges, λ the largest curvature.

Gradient descent on the squared error of a linear model, where theory is exact: along an eigenvector of the Hessian the
error is multiplied by `1 − ηλ` in every step, so descent converges if and only if `η < 2/λ` for the largest eigenvalue
λ. Just below the bound the weights jump from one side to the other and still converge; the fastest rate lies not
far below it. A network has no such fixed bound, since its curvature changes as it learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dlkit.lectures.finding import Check, Done, Finding, at_least, at_most
from dlkit.plots.style import MAIN, MARK, axes_of, blank, line
from dlkit.types import Batch

HIGHEST = 1e4  # loss that the picture shows; one that diverges reaches 10³⁰


def figure(runs: Sequence[Done]) -> Finding:
    batch = runs[0].examples("train")
    bound, optimum = 2 / largest_curvature(batch), least_loss(batch)
    rates = np.array([run.options["optim.lr"] for run in runs])
    curves = [np.array(run.curve("train/loss")[1]) - optimum for run in runs]
    last = np.array([curve[-1] for curve in curves])
    picture = blank(10)
    left, right = axes_of(picture, columns=2)
    best = int(last.argmin())
    for i, (which, word) in enumerate(((0, "too small"), (best, "good"), (len(runs) - 1, "too large"))):
        left.plot(range(1, len(curves[which]) + 1), curves[which], **line(i), label=f"η = {rates[which]:g}, {word}")
    left.set(xlabel="step", ylabel="loss above the least possible", yscale="log", ylim=(last[best] / 2, HIGHEST))
    left.legend(loc="upper right")
    right.plot(rates, last, "o-", color=MAIN)
    right.axhline(curves[0][0], color="#888888", linestyle=":", label="before training")
    right.axvline(bound, color=MARK, linestyle="--", label=f"2/λ = {bound:.3f}")
    right.set(xlabel="learning rate η", ylabel=f"the same after {len(curves[0])} steps", xscale="log", yscale="log")
    right.set_ylim(last[best] / 2, HIGHEST)
    right.legend()
    converges, left_over = rates < bound, last / curves[0][0]
    return Finding(
        picture,
        [
            at_least("least rate: part of the first loss that is left", last[0] / curves[0][0], 0.5),
            at_most("fastest rate: part of the first loss that is left", last[best] / curves[best][0], 0.02),
            at_least("fastest rate as part of 2/λ", rates[best] / bound, 0.3),
            at_most("largest loss left below 2/λ, of the first", left_over[converges].max(initial=0), 1),
            at_least("least loss left above 2/λ, of the first", left_over[~converges].min(initial=np.inf), 1),
            Check("rates above 2/λ", float((~converges).sum()), "at least 1", bool((~converges).any())),
        ],
    )


def hessian(batch: Batch) -> torch.Tensor:
    """`2/N XᵀX` of the mean squared error of a linear model with a bias, (F + 1, F + 1)."""
    x = _with_ones(batch)
    return 2 * x.T @ x / len(x)


def largest_curvature(batch: Batch) -> float:
    return float(torch.linalg.eigvalsh(hessian(batch))[-1])


def least_loss(batch: Batch) -> float:
    """The mean squared error of the least squares solution."""
    x, y = _with_ones(batch), batch.y.double()
    return float((x @ torch.linalg.lstsq(x, y).solution - y).square().mean())


def _with_ones(batch: Batch) -> torch.Tensor:
    x = batch.x.double()
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
