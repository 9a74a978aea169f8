"""Optimisers: torch's own, in their fused form where there is one. `params` comes first, from `build.py`: parameter
groups (`optim/groups.py`) or plain tensors.

Fused means one kernel for the whole update: 1.05-1.16 x a step of a small model on a CPU, more on a GPU.
Where torch's formula differs from the one that courses teach, the docstring says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor

from dlkit.optim import direct
from dlkit.optim.muon import Muon
from dlkit.optim.together import Together
from dlkit.types import NonNegative, Positive, ProperFraction

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


def gd(params: Params, *, lr: Positive, weight_decay: NonNegative = 0.0) -> torch.optim.Optimizer:
    """Gradient descent, `w −= η g`, one update an epoch: `sgd` for which the config sets data.batch_size=full."""
    return sgd(params, lr=lr, weight_decay=weight_decay)


def sgd(params: Params, *, lr: Positive, weight_decay: NonNegative = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent, `w −= η g`. `weight_decay` λ adds `λw` to the gradient."""
    return direct.SGD(params, lr=lr, weight_decay=weight_decay, fused=True)


def momentum(
    params: Params,
    *,
    lr: Positive,
    momentum: ProperFraction = 0.9,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
) -> torch.optim.Optimizer:
    """Heavy ball, `h_t = β h_{t−1} + g`, `w −= η h_t` (Polyak 1964); `nesterov` steps by `g + β h_t`.

    The rate stands outside `h`, as taught; where it is written inside (`h_t = β h_{t−1} + η g`), a schedule acts on old
    gradients no more.
    """
    return direct.SGD(params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True)


def adagrad(
    params: Params, *, lr: Positive, eps: Positive = 1e-10, weight_decay: NonNegative = 0.0
) -> torch.optim.Optimizer:
    """`s_t = s_{t−1} + g²`, `w −= η g/(√s_t + ε)` (Duchi et al. 2011).

    Taught as `η g/√(s_t + ε)`: torch adds ε outside the root, so that one ε outside is about ε² inside.
    Fused on a CPU only, which is where torch has it.
    """
    groups = _groups(params)
    on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])
    adagrad = direct.Adagrad if on_cpu else torch.optim.Adagrad
    return adagrad(groups, lr=lr, eps=eps, weight_decay=weight_decay, fused=on_cpu)


def rmsprop(
    params: Params,
    *,
    lr: Positive,
    alpha: ProperFraction = 0.9,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> torch.optim.Optimizer:
    """`s_t = α s_{t−1} + (1 − α) g²`, `w −= η g/(√s_t + ε)` (Tieleman and Hinton 2012, lecture 6e).

    Taught with the name γ for α and ε inside the root; torch adds it outside, and has no fused form.
    """
    return direct.RMSprop(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)


def adam(
    params: Params,
    *,
    lr: Positive,
    betas: tuple[ProperFraction, ProperFraction] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> torch.optim.Optimizer:
    """Kingma and Ba 2015, algorithm 1: `w −= η m̂/(√v̂ + ε)` with bias-corrected moments of the gradient.

    `weight_decay` λ adds `λw` to the gradient, so it is scaled by the moments as well; `adamw` takes it out of them.
    """
    return direct.Adam(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def adamw(
    params: Params,
    *,
    lr: Positive,
    betas: tuple[ProperFraction, ProperFraction] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, `w −= η (m̂/(√v̂ + ε) + λw)` (Loshchilov and Hutter 2019, algorithm 2)."""
    return direct.AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)


def muon(
    params: Params,
    *,
    lr: Positive,
    momentum: ProperFraction = 0.95,
    nesterov: bool = True,
    weight_decay: NonNegative = 0.01,
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = "match_rms_adamw",
    betas: tuple[ProperFraction, ProperFraction] = (0.9, 0.999),
    adamw_for: Sequence[str] = ("*embed*",),
    filters: bool = False,
) -> torch.optim.Optimizer:
    """Muon for matrices, `w −= η (c·NS(g̃) + λw)`, and AdamW for all else (Jordan et al. 2024).

    NS makes the momentum-averaged gradient g̃ nearly orthogonal by five Newton-Schulz iterations. For an A×B matrix
    `match_rms_adamw` takes `c = 0.2 √max(A, B)` (Liu et al. 2025), which gives updates of AdamW's size, so that one
    rate and one decay suit both; `original` takes `c = √max(1, A/B)` and wants a rate about ten times as high.
    torch's momentum is `h_t = β h_{t−1} + (1 − β) g`, not the taught `β h_{t−1} + g`: a factor that NS removes.
    `adamw_for` names matrices (by pattern) that AdamW takes as well: embeddings, and often the last layer. `filters`:
    Muon takes convolutions too, one filter a row.
    It iterates in bfloat16, which CPUs are slow at: 75 ms an update of the default network there, 0.3 ms of AdamW's.
    """
    matrices, rest = [], []
    for group in _groups(params):
        names = group.get("param_names", [""] * len(group["params"]))
        is_matrix = [
            (p.ndim == 2 or (filters and p.ndim > 2)) and not any(fnmatchcase(name, pattern) for pattern in adamw_for)
            for name, p in zip(names, group["params"], strict=True)
        ]
        matrices += _part(group, is_matrix, True)
        rest += _part(group, is_matrix, False)
    both: list[torch.optim.Optimizer] = []
    if matrices:
        own: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "adjust_lr_fn": adjust_lr_fn}
        both.append(Muon(matrices, lr, weight_decay=weight_decay, **own))
    if rest:
        both.append(direct.AdamW(rest, lr=lr, betas=betas, weight_decay=weight_decay, fused=True))
    return Together(both)


def _groups(params: Params) -> list[dict[str, Any]]:
    """Parameters as a list of groups."""
    listed: list[Any] = list(params)
    return listed if listed and isinstance(listed[0], dict) else [{"params": listed}]


def _part(group: dict[str, Any], is_matrix: list[bool], wanted: bool) -> list[dict[str, Any]]:
    """The group with those of its parameters only that are matrices, or that are not; none where there are none."""
    kept: dict[str, Any] = {
        key: [one for one, matrix in zip(group[key], is_matrix, strict=True) if matrix is wanted]
        for key in ("params", "param_names")
        if key in group
    }
    return [{**group, **kept}] if kept["params"] else []
