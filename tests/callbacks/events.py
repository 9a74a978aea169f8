"""What a run wrote for TensorBoard, read back by its own loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray


def events(folder: Path | str) -> EventAccumulator:
    """All events of the run in the folder."""
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    found.Reload()
    return found


def tensors(folder: Path | str, tag: str) -> list[Any]:
    """What was written under the tag, in the order of the steps."""
    return [make_ndarray(event.tensor_proto) for event in events(folder).Tensors(tag)]


def images(folder: Path | str) -> set[str]:
    return set(events(folder).Tags()["images"])


def tags(folder: Path | str, prefix: str) -> set[str]:
    """Of tensors, without the prefix."""
    return {tag.removeprefix(prefix) for tag in events(folder).Tags()["tensors"] if tag.startswith(prefix)}


def last(folder: Path | str, tag: str) -> np.ndarray:
    found: np.ndarray = np.asarray(tensors(folder, tag)[-1])
    return found
