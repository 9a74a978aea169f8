"""Skeleton."""

from __future__ import annotations

from typing import Any


class Waves:
    """Skeleton."""

    def fit(self, raw: Any) -> None:
        raise NotImplementedError

    def encode(self, raw: Any, device: Any = "cpu") -> Any:
        raise NotImplementedError

    def promises(self) -> dict[str, Any]:
        return {"kind": "waveform"}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
