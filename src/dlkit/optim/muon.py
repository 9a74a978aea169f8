"""Muon, for matrices and for filters as matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod, sqrt
from typing import Any, Literal

import torch
from torch import Tensor

COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5  # Jordan et al. 2024: as steep at 0 as a quintic can be


class Muon(torch.optim.Optimizer):
    """`h ← βh + (1 − β)g`, `w ← (1 − ηλ)w − η c NS(h)` (Jordan et al. 2024); with `nesterov` of `βh + (1 − β)g`.

    As `torch.optim.Muon`, to the bit; but weights may have more than two axes, a filter's numbers being one row, and a
    rate that is a tensor on the device stays there. `c` is as `adjust_lr_fn` says: `original` √max(1, A/B) of an A×B
    matrix, `match_rms_adamw` 0.2 √max(A, B).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        weight_decay: float,
        momentum: float,
        nesterov: bool,
        adjust_lr_fn: Literal["original", "match_rms_adamw"],
    ):
        options = {"weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        super().__init__(params, {"lr": lr, "adjust_lr_fn": adjust_lr_fn, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)
        return loss

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(g)
        mean = state["momentum_buffer"].lerp_(g, 1 - group["momentum"])
        step = orthogonal((g.lerp(mean, group["momentum"]) if group["nesterov"] else mean).flatten(1))
        rows, columns = len(p), prod(p.shape[1:])
        original = group["adjust_lr_fn"] == "original"
        size = sqrt(max(1, rows / columns)) if original else 0.2 * sqrt(max(rows, columns))
        rate = group["lr"] * size
        p.mul_(1 - group["lr"] * group["weight_decay"])
        if isinstance(rate, Tensor):  # `alpha` would wait for it
            p.sub_(step.view(p.shape).to(p.dtype) * rate)
        else:
            p.add_(step.view(p.shape), alpha=-rate)


def orthogonal(g: Tensor) -> Tensor:
    """Newton-Schulz: a matrix (A, B) with the singular vectors of g and singular values near 1, in bfloat16."""
    a, b, c = COEFFICIENTS
    x = g.bfloat16()
    tall = len(g) > g.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
