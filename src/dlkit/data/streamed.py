"""Skeleton."""

from __future__ import annotations

from typing import Any


class StreamedData:
    """Skeleton."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError
