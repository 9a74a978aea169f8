"""Random changes to whole batches of images, on the device."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkit.data.images.mix import mix
from dlkit.types import Batch, Degrees, Fraction, NonNegative, NonNegativeInt, Spec

DRAWS = 8  # uniform numbers an image; fixed, so that switching one option leaves the others' draws as they were


class Augment:
    """Flip, crop, shift and rotate, erase, mix, in this order, drawn anew for every image of every batch; 0 is off.

    `flip: alternating` mirrors an image in every other epoch (Jordan 2024, section 3.6): two epochs show each side
    once, where chance shows half of the images the same side twice. With which it begins, its own pixels decide.

    What lies outside an image is its mirror image, and an erased square takes the image's own mean in each channel. So
    augmenting commutes with normalisation, and normalised images can be augmented.

    Mixup (Zhang et al. 2018) is `λ x + (1 − λ) x'` with the same of the targets, `λ ~ Beta(α, α)`, x' another image of
    the batch; CutMix (Yun et al. 2019) puts a rectangle of x' into x, λ the share of pixels that stay. Their targets
    are shares of classes, float (B, classes), which not every loss takes.

    An augmentation of your own is a class with `check` and `__call__`, named by `data.augment._target_`.
    """

    def __init__(
        self,
        *,
        crop: NonNegativeInt = 0,
        flip: Fraction | Literal["alternating"] = 0.0,
        shift: Fraction = 0.0,
        rotate: Degrees = 0.0,
        erase: Fraction = 0.0,
        mixup: NonNegative = 0.0,
        cutmix: NonNegative = 0.0,
    ) -> None:
        self.crop = crop  # whole pixels each way
        self.flip = flip  # probability, or "alternating"
        self.shift = shift  # fraction of height and width, each way
        self.rotate = rotate  # degrees each way
        self.erase = erase  # sides of the square as a fraction of height and width
        self.mixup, self.cutmix = mixup, cutmix  # α of the two
        self.options = {name: value for name, value in vars(self).items() if value}
        self.classes = 0  # how many; known once `check` has seen the data

    def __bool__(self) -> bool:
        """Whether anything is on."""
        return bool(self.options)

    @property
    def mixes(self) -> bool:
        """Whether examples of a batch are mixed with each other."""
        return bool(self.mixup or self.cutmix)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where these options do not suit the data."""
        options = ", ".join(f"data.augment.{name}={value}" for name, value in self.options.items())
        if spec.kind != "image":
            raise ValueError(f"{options}: only images can be augmented, this data is {spec.kind}; expected 0")
        side = min(spec.input_shape[1:])
        if self.crop >= side:
            raise ValueError(f"data.augment.crop={self.crop}: expected less than the image's side, {side} pixels")
        self.classes = spec.num_outputs

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: int = 0) -> Batch:
        """Images (B, C, H, W) -> changed images (B, C, H, W); all randomness comes from `generator`."""
        x = batch.x
        height, width = x.shape[2:]
        # A few hundred numbers, drawn where the generator is; on the CPU they are the same whatever the device.
        draws = torch.rand(len(x), DRAWS, generator=generator, device=generator.device)
        u = draws.to(x.device, non_blocking=True).unbind(1)  # non_blocking: no sync
        if self.flip:
            x = flip(x, coin(x) == epoch % 2 if self.flip == "alternating" else u[0] < self.flip)
        if self.crop:
            x = crop(x, _whole(u[1], 2 * self.crop) - self.crop, _whole(u[2], 2 * self.crop) - self.crop, self.crop)
        if self.shift or self.rotate:
            down, right = ((2 * v - 1) * self.shift for v in u[3:5])
            x = turn(x, down, right, (2 * u[5] - 1) * math.radians(self.rotate))
        if self.erase:
            sides = max(1, round(self.erase * height)), max(1, round(self.erase * width))
            x = erase(x, _whole(u[6], height - sides[0]), _whole(u[7], width - sides[1]), sides)
        if self.mixup or self.cutmix:
            return mix(Batch(x, batch.y), self.classes, self.mixup, self.cutmix, generator)
        return Batch(x, batch.y)


def flip(x: Tensor, chosen: Tensor) -> Tensor:
    """Mirror left to right the images where `chosen` (B,) is true."""
    return torch.where(chosen.view(-1, 1, 1, 1), x.flip(3), x)


def coin(x: Tensor) -> Tensor:
    """0 or 1 for each image (B,), as if drawn, but always the same for the same pixels (B, C, H, W) in float32."""
    total = x.view(torch.int32).sum((1, 2, 3))  # of whole numbers: exact, in whatever order
    return (total * 0x1E3779B97F4A7C15 >> 40) & 1


def crop(x: Tensor, down: Tensor, right: Tensor, most: int) -> Tensor:
    """Move each image by whole pixels, `down` and `right` (B,) in [−most, most]: a window of its mirror-padded copy."""
    padded = F.pad(x, (most,) * 4, mode="reflect")
    windows = padded.unfold(2, x.shape[2], 1).unfold(3, x.shape[3], 1)  # a view: (B, C, 2·most+1, 2·most+1, H, W)
    return windows[torch.arange(len(x), device=x.device), :, most - down, most - right]


def turn(x: Tensor, down: Tensor, right: Tensor, angle: Tensor) -> Tensor:
    """Turn each image about its centre by `angle` (B,) radians counter-clockwise, then move it; one bilinear sampling.

    `down` and `right` (B,) are fractions of the height and the width.
    """
    height, width = x.shape[2:]
    cos, sin = angle.cos(), angle.sin()
    right, down = 2 * right, 2 * down  # the sampling grid runs from −1 to 1
    # From a place in the result to its place in the image: undo the move, then the turn; the grid's axes are scaled by
    # the sides, so a turn in pixels is a turn between factors height / width.
    tall = height / width
    rows = [cos, -sin * tall, -cos * right + sin * tall * down, sin / tall, cos, -sin / tall * right - cos * down]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def erase(x: Tensor, top: Tensor, left: Tensor, sides: tuple[int, int]) -> Tensor:
    """Replace a rectangle of `sides` (height, width) at `top`, `left` (B,) by the image's mean in each channel."""
    row, column = (torch.arange(size, device=x.device) for size in x.shape[2:])
    rows = (row >= top[:, None]) & (row < top[:, None] + sides[0])
    columns = (column >= left[:, None]) & (column < left[:, None] + sides[1])
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(inside, x.mean((2, 3), keepdim=True), x)


def _whole(u: Tensor, most: int) -> Tensor:
    """Uniform numbers in [0, 1) -> whole numbers, each of 0 … most equally likely."""
    return (u * (most + 1)).long().clamp(max=most)  # clamp: a product of float32 may round up to most + 1
