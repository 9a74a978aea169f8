"""Losses of the margin `M = y·f(x)`, y = ±1: positive where the sign of the output is right.

Two classes have one logit, y = −1 for the first and +1 for the second. With K > 2 classes every class has one, told
apart from the rest: `Σ_k φ(y_k out_k)`, y_k = +1 for the true class, −1 else. The sum (not the mean) makes it K
problems that share γ but nothing else, and keeps it above the 0-1 loss wherever `φ(M) ≥ [M ≤ 0]`: for all but the
perceptron's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkit.losses.targets import logits, needs_classes, refuse_shares, signs
from dlkit.types import Spec


class Margin:
    """`Σ_k φ(y_k out_k)`, (B, K) -> (B,).

    `log_cdf` is the logarithm of the link, `ln P(y = +1 | out)`, where the loss has one. `overflow` says when the loss
    is infinite for finite outputs.
    """

    def __init__(
        self,
        name: str,
        spec: Spec,
        phi: Callable[[Tensor], Tensor],
        *,
        log_cdf: Callable[[Tensor], Tensor] | None = None,
        overflow: str = "",
    ):
        needs_classes(name, spec)
        self.name, self.phi, self.log_cdf, self.overflow = name, phi, log_cdf, overflow
        self.outputs = logits(spec)

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        refuse_shares(self.name, y)
        return self.phi(signs(out, y) * out).sum(-1)

    def probabilities(self, out: Tensor) -> Tensor:
        if self.log_cdf is None:
            raise ValueError(f"loss={self.name} gives no probabilities; train with loss=logistic to have them")
        return linked(out, self.log_cdf)


def linked(out: Tensor, log_cdf: Callable[[Tensor], Tensor]) -> Tensor:
    """Class probabilities (B, classes) by a link: `(F(−z), F(z))` of one logit z; `F(z_k) / Σ_j F(z_j)` of K logits.

    Computed from `ln F` by a softmax, so that nothing is divided by a sum that has underflowed.
    """
    scores = torch.cat([-out, out], -1) if out.shape[-1] == 1 else out
    return log_cdf(scores).softmax(-1)


def margin_quadratic(spec: Spec) -> Margin:
    """`(1 − M)²`: the squared error against targets ±1; it punishes margins above 1 as well."""
    return Margin("margin_quadratic", spec, lambda margin: (1 - margin).square())


def hinge(spec: Spec) -> Margin:
    """`(1 − M)₊` (Cortes and Vapnik 1995); with `γ Σ w²` the linear support vector machine."""
    return Margin("hinge", spec, lambda margin: (1 - margin).clamp(min=0))


def perceptron(spec: Spec) -> Margin:
    """`(−M)₊`: under SGD one example at a time, Rosenblatt's rule `w += η y x` wherever M ≤ 0.

    At M = 0 the slope is −1, so that w = 0, where the loss is 0 already, is left at once.
    """
    return Margin("perceptron", spec, lambda margin: (-margin).clamp(min=0))  # relu has slope 0 there


def margin_sigmoid(spec: Spec) -> Margin:
    """`2 / (1 + eᴹ)`: bounded by 2, so a single outlier cannot rule the fit; not convex."""
    return Margin("margin_sigmoid", spec, lambda margin: 2 * torch.sigmoid(-margin))


def logistic(spec: Spec) -> Margin:
    """`log₂(1 + e⁻ᴹ)`, in bits: `bce / ln 2`. Where it is least on average, `P(y = +1) = σ(f)`."""
    return Margin("logistic", spec, lambda margin: F.softplus(-margin) / log(2), log_cdf=F.logsigmoid)


def exponential(spec: Spec) -> Margin:
    """`e⁻ᴹ`, AdaBoost's loss. Where it is least on average, `P(y = +1) = σ(2f)` (Friedman et al. 2000, lemma 1).

    Infinite in float32 for M < −88: such a step is not made, and the run ends saying so.
    """
    return Margin(
        "exponential",
        spec,
        lambda margin: (-margin).exp(),
        log_cdf=lambda out: F.logsigmoid(2 * out),
        overflow="loss=exponential: e⁻ᴹ overflows where a margin M is below −88; loss=logistic does not",
    )
