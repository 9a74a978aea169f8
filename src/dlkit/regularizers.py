"""Penalties on the weights: `(weights by name) -> scalar`, added to the loss.

They never see biases or the scales of normalisation layers: `weights(model)` gives matrices and filters only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from dlkit.types import NonNegative, Penalty


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are regularised: those with two axes or more. Biases and norm scales have one."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.ndim >= 2}


def none() -> None:
    """No penalty."""


def l2(*, gamma: NonNegative) -> Penalty:
    """`γ Σ w²`: ridge regression, the SVM. Its gradient is `2γw`."""

    def penalty(weights: Mapping[str, Tensor]) -> Tensor:
        return gamma * cast(Tensor, sum(weight.square().sum() for weight in weights.values()))

    return penalty
