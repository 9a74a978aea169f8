"""Mixing the examples of a batch, two and two: Mixup and CutMix."""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch
from torch import Tensor

from dlkit.types import Batch


def mix(batch: Batch, classes: int, mixup: float, cutmix: float, generator: torch.Generator) -> Batch:
    """One of the two, or each for half of the batches where both are on: `λ ~ Beta(α, α)` of the whole batch.

    Every example gets a partner of the same batch, drawn anew. `mixup` and `cutmix` are α, 0 is off. Of `classes`, y
    int64 (B,), come shares, float (B, classes): λ for the example's own class, 1 − λ for its partner's; numbers are
    mixed as they are.
    """
    x, y = batch
    # NumPy draws from Beta with a seed, also where α is so small that a ratio of two gammas would be 0/0.
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
    cuts = rng.random() < 0.5 if mixup and cutmix else bool(cutmix)
    alpha = cutmix if cuts else mixup
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(x))).to(x.device, non_blocking=True)
    if not y.is_floating_point():
        y = (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).to(x.dtype)
    if cuts:
        top, left, bottom, right = box(share, x.shape[2], x.shape[3], rng)
        x, share = cut(x, partner, top, left, bottom, right)
    else:
        x = torch.lerp(x[partner], x, share)
    return Batch(x, torch.lerp(y[partner], y, share))


def box(share: float, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a rectangle of `√(1 − share)` of each side, its centre anywhere in the image.

    What of it lies outside is cut off, so that its area is `1 − share` at most (Yun et al. 2019, equation 2).
    """
    tall, wide = (int(side * sqrt(1 - share)) for side in (height, width))
    top, left = int(rng.integers(height)) - tall // 2, int(rng.integers(width)) - wide // 2
    return max(top, 0), max(left, 0), min(top + tall, height), min(left + wide, width)


def cut(x: Tensor, partner: Tensor, top: int, left: int, bottom: int, right: int) -> tuple[Tensor, float]:
    """CutMix (Yun et al. 2019): a rectangle of the partner's pixels in place of the image's own (B, C, H, W).

    Returns the images and the share of pixels that are still an image's own.
    """
    out = x.clone()  # x may be the data set itself
    out[:, :, top:bottom, left:right] = x[partner, :, top:bottom, left:right]
    return out, 1 - (bottom - top) * (right - left) / (x.shape[2] * x.shape[3])
