"""Raw images as what can be seen."""

from __future__ import annotations

from torch import Tensor

from dlkit.data.scale import Scale
from dlkit.plots.tiles import Pixels, colours
from dlkit.state import State


def images_of(state: State, raw: Tensor) -> list[Pixels]:
    """Raw images (n, C, h, w) as colours (h, w, 3), black and white where their encoder knows the range to be."""
    assert state.data is not None
    encoder = state.data.encoder
    low, high = encoder.range if isinstance(encoder, Scale) else (float(raw.min()), float(raw.max()))
    return list(colours(((raw.float() - low) / max(high - low, 1e-12)).clamp(0, 1).numpy()))
