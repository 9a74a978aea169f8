"""Test-time augmentation: one answer from several views of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Views(nn.Module):
    """The mean of a model's outputs over views of each image (B, C, H, W).

    The views are the image itself; with `shift` s > 0 the image moved by s pixels left, right, up and down, where what
    comes in at the border is its mirror image, as in the crops of training; with `mirror` all of these mirrored left to
    right too: 1, 2, 5 or 10 views, each a pass of the model (Krizhevsky et al. 2012, section 4.1, with fixed crops).

    The mean is of the outputs before the loss's link. For softmax that is, up to a constant of each example, the
    logarithm of the probabilities' geometric mean; so loss and metrics take it like the outputs of one model, and so do
    those of margins and numbers. State dicts are those of the model within.
    """

    def __init__(self, model: nn.Module, *, mirror: bool = False, shift: int = 0) -> None:
        super().__init__()
        self.model, self.mirror, self.shift = model, mirror, shift

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.model(view) for view in self.views(x)]).float().mean(0)

    def views(self, x: Tensor) -> Iterator[Tensor]:
        """The images themselves first."""
        for view in self._moved(x):
            yield view
            if self.mirror:
                yield view.flip(3)

    def _moved(self, x: Tensor) -> Iterator[Tensor]:
        yield x
        if self.shift:
            s, (height, width) = self.shift, x.shape[2:]
            padded = F.pad(x, (s, s, s, s), mode="reflect")
            for down, right in ((s, 2 * s), (s, 0), (2 * s, s), (0, s)):  # where the window starts
                yield padded[:, :, down : down + height, right : right + width]

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.model.load_state_dict(*args, **kwargs)
