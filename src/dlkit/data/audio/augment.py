"""Random changes to whole batches of recordings, on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dlkit.types import Batch, Fraction, NonNegative, ProperFraction, Spec

DRAWS = 7  # uniform numbers a recording; fixed, so that switching one option leaves the others' draws as they were
NOISE = 1 << 18  # samples of white noise that are drawn once


class AugmentWaves:
    """Speed, shift, noise and gain, in this order, drawn anew for every recording of every batch; 0 is off.

    Batches are (B, T) with NaN behind the end of shorter recordings, and stay so; T changes with the speed, but never
    beyond the longest recording of the training data. Recordings as long as that keep their length: silence stands
    where a faster one is over, and a slower one loses as much at its beginning as at its end. So recordings that are
    all of one length remain of that length.
    """

    mixes = False  # examples of a batch with each other

    def __init__(
        self,
        *,
        noise: NonNegative = 0.0,
        shift: Fraction = 0.0,
        speed: ProperFraction = 0.0,
        gain: NonNegative = 0.0,
    ) -> None:
        self.noise = noise  # most of the noise's root mean square, as a fraction of the recording's
        self.shift = shift  # fraction of the recording's length, each way
        self.speed = speed  # 0.1: from 0.9 to 1.1 times as fast
        self.gain = gain  # dB each way
        self._longest: int | None = None
        self._white: Tensor | None = None

    def __bool__(self) -> bool:
        """Whether anything is on."""
        return bool(self.noise or self.shift or self.speed or self.gain)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where these options do not suit the data; learn how long its longest recording is."""
        if spec.kind != "waveform":
            values = {"noise": self.noise, "shift": self.shift, "speed": self.speed, "gain": self.gain}
            options = ", ".join(f"data.augment.{name}={value}" for name, value in values.items() if value)
            raise ValueError(f"{options}: only recordings can be augmented so, this data is {spec.kind}; expected 0")
        self._longest = spec.input_shape[0]

    def __call__(self, batch: Batch, generator: torch.Generator, epoch: int = 0) -> Batch:
        """Recordings (B, T) -> changed recordings (B, T'); all randomness comes from `generator`."""
        x = batch.x
        # A few hundred numbers, drawn where the generator is; on the CPU they are the same whatever the device.
        draws = torch.rand(len(x), DRAWS, generator=generator, device=generator.device)
        factors = 1 + self.speed * (2 * draws[:, 0] - 1)
        slowest = float(factors.min()) if self.speed else 1.0  # no sync: the generator is on the CPU
        u = draws.to(x.device, non_blocking=True).unbind(1)  # non_blocking: no sync
        if self.speed or self.shift:
            longest = x.shape[1] if self._longest is None else self._longest
            steps = max(x.shape[1], min(math.ceil(x.shape[1] / slowest), longest))
            x = move(x, 1 + self.speed * (2 * u[0] - 1), self.shift * (2 * u[1] - 1), steps, longest)
        if self.noise:
            x = self._noisy(x, self.noise * u[2], u[3], u[4])
        if self.gain:
            x = x * 10 ** (self.gain * (2 * u[5] - 1) / 20).unsqueeze(1)
        return Batch(x, batch.y)

    def _noisy(self, x: Tensor, share: Tensor, where: Tensor, sign: Tensor) -> Tensor:
        """White noise of `share` (B,) of the recordings' root mean square, added.

        It is cut from `NOISE` samples at the random places `where` (B,), with a random sign: drawing each sample anew
        for every batch would cost more than the model's own step.
        """
        if self._white is None or self._white.device != x.device:
            self._white = torch.randn(NOISE, generator=torch.Generator().manual_seed(0)).to(x.device)
        places = (where * NOISE).long().unsqueeze(1) + torch.arange(x.shape[1], device=x.device)
        scale = share * x.square().nanmean(1).nan_to_num(0.0).sqrt() * (1 - 2 * (sign < 0.5).to(x.dtype))
        return x + scale.unsqueeze(1) * self._white[places % NOISE]


def move(x: Tensor, speed: Tensor, shift: Tensor, steps: int, longest: int) -> Tensor:
    """Each recording of x (B, T) `speed` (B,) times as fast, then later by `shift` (B,) of its length: (B, steps).

    Sample t of the result is found at `(t − (L' − 1)/2 − shift·L') · speed + (L − 1)/2` of the recording, linearly
    between its neighbours, and 0 outside; L is its length and L' = L / speed the new one, or `longest` where L is that.
    """
    lengths = (~x.isnan()).sum(1, keepdim=True)
    speed = speed.unsqueeze(1)
    after = (lengths / speed).round().clamp(max=steps)
    after = torch.where(lengths == longest, lengths, after)  # whole, though of float
    later = (shift.unsqueeze(1) * after).round()
    time = torch.arange(steps, device=x.device)
    place = (time - (after - 1) / 2 - later) * speed + (lengths - 1) / 2
    inside = (place >= 0) & (place <= lengths - 1)
    left = place.floor().clamp(min=0, max=x.shape[1] - 1)
    weight = (place - left).clamp(0, 1)
    left = left.long()
    right = (left + 1).minimum((lengths - 1).clamp(min=0))
    moved = x.gather(1, left).lerp(x.gather(1, right), weight).where(inside, 0.0)
    return moved.where(time < after, torch.nan)
