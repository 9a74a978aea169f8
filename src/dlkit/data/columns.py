"""The encoder of tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlkit.data.raw import Table
from dlkit.data.scale import Normalize, Scale


class Columns:
    """Skeleton."""

    def __init__(self, *, normalize: Normalize = "standardize") -> None:
        self.scale = Scale(normalize=normalize)

    def fit(self, raw: Tensor | Table) -> None:
        self.scale.fit(raw)

    def encode(self, raw: Tensor | Table, device: torch.device | str = "cpu") -> Tensor:
        return self.scale.encode(raw, device)

    def promises(self) -> dict[str, Any]:
        return {"kind": "tabular"}

    def state_dict(self) -> dict[str, Any]:
        return self.scale.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale.load_state_dict(state)
