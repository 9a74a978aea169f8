"""Which parameters share a learning rate and a weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from dlkit.types import PositiveFraction


def groups(
    model: nn.Module,
    decays: bool,
    *,
    decay_all: bool = False,
    lr_scale: Mapping[str, float] | None = None,
    layer_decay: PositiveFraction = 1.0,
) -> list[dict[str, Any]]:
    """The parameters to train, in groups for an optimiser; `decays` tells whether it decays weights at all.

    Biases and the parameters of norms, which have one axis, are not decayed unless `decay_all`. A group's `lr_scale` is
    the factor on the base rate: `layer_decay^d`, d the layers above (Clark et al. 2020, section 3), times the value in
    `lr_scale` of the last pattern that fits. A pattern fits a parameter's name, or its beginning up to a dot: `0` and
    `0.*` fit 0.weight. A layer is a module with a weight of two axes or more; a norm belongs to the layer before it.
    Groups with factor 1 come first. Raises ValueError for a pattern that fits nothing, or a factor below 0.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    scales = _layer_scales(model, layer_decay)
    for pattern, scale in (lr_scale or {}).items():
        _check(str(pattern), scale, list(named))
    found: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, p in named.items():
        fitting = [scale for pattern, scale in (lr_scale or {}).items() if _fits(name, str(pattern))]
        scale = scales[name] * (fitting[-1] if fitting else 1.0)
        free = decays and p.ndim < 2 and not decay_all
        group = found.setdefault((scale, free), {"params": [], "param_names": [], "lr_scale": scale})
        group["params"].append(p)
        group["param_names"].append(name)
        if free:
            group["weight_decay"] = 0.0
    return sorted(found.values(), key=lambda group: group["lr_scale"] != 1)


def _layer_scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """Factor of every parameter by the depth of its layer."""
    depth, depths = 0, {}
    for prefix, module in model.named_modules():
        own = list(module.named_parameters(recurse=False))
        depth += any(p.ndim >= 2 for _, p in own)
        depths.update({f"{prefix}.{name}".lstrip("."): max(depth, 1) for name, _ in own})
    return {name: layer_decay ** (max(depth, 1) - own) for name, own in depths.items()}


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _check(pattern: str, scale: Any, names: list[str]) -> None:
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale >= 0:
        raise ValueError(f"optim.lr_scale.{pattern}={scale}: must be a number of at least 0")
    if not any(_fits(name, pattern) for name in names):
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise ValueError(f"optim.lr_scale: {pattern} fits no parameter that is trained; there are {shown}")
