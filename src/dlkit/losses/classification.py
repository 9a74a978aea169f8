"""Likelihoods of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkit.losses.margin import linked
from dlkit.losses.targets import logits, needs_classes, refuse_shares, shares
from dlkit.types import Fraction, NonNegative, Spec


class CrossEntropy:
    """Cross-entropy with the softmax of K logits, `−Σ_k p(k) ln softmax(out)_k`, in nats; two classes have two logits.

    `y` holds classes, int64 (B,), or distributions over the K classes, float (B, K).
    With label smoothing ε the target becomes `(1 − ε) p + ε/K` (Szegedy et al. 2016, section 7).

    Class weights multiply each class's term, and the whole is divided by the mean weight of a training example,
    `Σ_k n_k w_k / N`: so its mean over the training split, in batches of any length, is torch's weighted mean (divided
    by the sum of weights), and a factor on all weights changes nothing. torch divides every batch by that batch's own
    sum, which makes the mean depend on how examples were batched. `balanced` is `w_k = N/(K n_k)`.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        label_smoothing: Fraction = 0.0,
        class_weights: Literal["balanced"] | Sequence[NonNegative] | None = None,
    ):
        needs_classes("cross_entropy", spec)
        self.outputs = spec.num_outputs
        self.label_smoothing = label_smoothing
        self.weights = None if class_weights is None else _class_weights(spec, class_weights)

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        weights = self.weights
        if weights is not None and weights.device != out.device:  # once: a copy at every step would wait for the GPU
            weights = self.weights = weights.to(out.device)
        weights = None if weights is None else weights.to(out.dtype)
        return F.cross_entropy(out, y, weights, reduction="none", label_smoothing=self.label_smoothing)

    def probabilities(self, out: Tensor) -> Tensor:
        return out.softmax(-1)


class Focal:
    """`−(1 − p)^γ ln p`, p the softmax probability of the true class (Lin et al. 2017, equation 4).

    Examples that are right already count less; γ = 0 is cross-entropy. `y` holds classes, int64 (B,). `1 − p` is the
    sum of the other probabilities, in logarithms, so that it is exact near 0 and gradients stay finite for any γ.
    """

    def __init__(self, spec: Spec, *, gamma: NonNegative = 2.0):
        needs_classes("focal", spec)
        self.outputs, self.gamma = spec.num_outputs, gamma

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        refuse_shares("focal", y)
        log_p = out.log_softmax(-1)
        true = shares(out, y) > 0
        log_rest = log_p.masked_fill(true, -torch.inf).logsumexp(-1)
        return -(self.gamma * log_rest).exp() * log_p.masked_fill(~true, 0).sum(-1)

    def probabilities(self, out: Tensor) -> Tensor:
        return out.softmax(-1)


class BinaryCrossEntropy:
    """`−(y ln F(z) + (1 − y) ln F(−z))`, in nats, y = 1 for the second of two classes, from one logit z.

    The link F is a distribution function: `logistic`, `1/(1 + e⁻ᶻ)`, which makes it the two-way softmax on (0, z), or
    `probit`, the normal one. With K > 2 classes it is one-vs-rest, the sum over K logits. `y` holds classes, int64
    (B,), or shares, float (B, classes): distributions, or for K > 2 any number of labels at a time.
    """

    def __init__(self, spec: Spec, *, link: Literal["logistic", "probit"] = "logistic"):
        needs_classes("bce", spec)
        self.outputs = logits(spec)
        self.log_cdf = _log_normal_cdf if link == "probit" else F.logsigmoid

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        y = shares(out, y)
        return -(y * self.log_cdf(out) + (1 - y) * self.log_cdf(-out)).sum(-1)

    def probabilities(self, out: Tensor) -> Tensor:
        return linked(out, self.log_cdf)


def _log_normal_cdf(z: Tensor) -> Tensor:
    """`ln Φ(z)`, in float64 where the device has it: in float32 torch's derivative is wrong for z < −100."""
    wide = torch.float32 if z.device.type == "mps" else torch.float64
    return torch.special.log_ndtr(z.to(wide)).to(z.dtype)


def _class_weights(spec: Spec, given: Literal["balanced"] | Sequence[float]) -> Tensor:
    """The weights, divided by their mean over the training split."""
    counts = torch.tensor(spec.class_counts, dtype=torch.float64)
    if len(counts) != spec.num_outputs:
        raise ValueError("loss.class_weights needs the number of training examples of each class (Spec.class_counts)")
    if given == "balanced":
        if 0 in spec.class_counts:
            name = spec.classes[spec.class_counts.index(0)]
            raise ValueError(f"loss.class_weights=balanced: no training example of class {name}; give a list")
        weights = counts.sum() / (len(counts) * counts)
    else:
        weights = torch.tensor(list(given), dtype=torch.float64)
        if len(weights) != len(counts):
            raise ValueError(f"loss.class_weights has {len(weights)} numbers, but this data has {len(counts)} classes")
    mean = (counts * weights).sum() / counts.sum()
    if not mean > 0:
        raise ValueError(f"loss.class_weights={list(given)}: no training example would have a weight above 0")
    return (weights / mean).float()
