"""Learning-rate schedules: closed forms `t -> factor` on each parameter group's base rate.

`t` counts completed optimiser updates, or, with `scheduler.unit=epoch`, the same in epochs, so it may lie between whole
numbers. Nothing needs saving: a resumed run continues with the same rates. `total` is the length of the run in the same
unit, infinite where only trainer.max_time ends it; what needs it then raises ValueError.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

from dlkit.types import Fraction, NonNegative, OpenFraction, Positive, PositiveFraction, Schedule


def constant(total: float) -> Schedule:
    """`η_t = η₀`."""
    return lambda t: 1.0


def factor(total: float, *, alpha: PositiveFraction, floor: Fraction = 0.0) -> Schedule:
    """`η_{t+1} = α η_t`, but never below `floor · η₀`; in closed form `max(α^t, floor)`."""
    return lambda t: max(alpha**t, floor)


def exponential(total: float, *, alpha: PositiveFraction) -> Schedule:
    """`η_t = η₀ α^t`."""
    return lambda t: math.exp(t * math.log(alpha))


def polynomial(total: float, *, alpha: NonNegative, beta: NonNegative) -> Schedule:
    """`η_t = η₀ / (1 + α t)^β` (Robbins and Monro 1951 want 1/2 < β <= 1)."""
    return lambda t: (1 + alpha * t) ** -beta


def cosine(total: float, *, final: Fraction = 0.0) -> Schedule:
    """`η_t = η_T + (η₀ − η_T)/2 · (1 + cos(π t/T))` with `η_T = final · η₀` (Loshchilov and Hutter 2017, eq. 5)."""
    _needs_end(total, "cosine")
    return lambda t: _half_cosine(1.0, final, t / total)


def step(total: float, *, milestones: Sequence[Positive] = (0.5, 0.75), gamma: Fraction = 0.1) -> Schedule:
    """`η_t = η₀ γ^k`, k the milestones reached by t. A milestone below 1 is a fraction of the run."""
    if any(milestone < 1 for milestone in milestones):
        _needs_end(total, "step with milestones below 1")
    places = [milestone * total if milestone < 1 else milestone for milestone in milestones]
    if late := [place for place in places if place >= total]:
        warnings.warn(f"scheduler.milestones: {late} are past the run's end at {total:g}", stacklevel=2)
    return lambda t: gamma ** sum(t >= place for place in places)


def one_cycle(total: float, *, rise: OpenFraction = 0.3, start: Fraction = 0.04, final: Fraction = 0.0) -> Schedule:
    """Half a cosine from `start · η₀` up to η₀ over the fraction `rise` of the run, another down to `final · η₀`.

    Smith 2018, with cosines for straight lines as in torch and fastai. The momentum is not cycled.
    """
    _needs_end(total, "one_cycle")
    peak = rise * total
    return lambda t: (
        _half_cosine(start, 1.0, t / peak) if t < peak else _half_cosine(1.0, final, (t - peak) / (total - peak))
    )


def wsd(
    total: float,
    *,
    decay: PositiveFraction = 0.2,
    final: Fraction = 0.0,
    shape: Literal["linear", "cosine", "sqrt"] = "linear",
) -> Schedule:
    """Warmup, stable, decay: η₀ until the last fraction `decay` of the run, over which it falls to `final · η₀`.

    With s from 0 to 1 over that part, `sqrt` falls as `1 − √s` (Hägele et al. 2024). The warmup is `warmup_steps`.
    """
    _needs_end(total, "wsd")
    falls = {"linear": lambda s: 1 - s, "cosine": lambda s: _half_cosine(1, 0, s), "sqrt": lambda s: 1 - math.sqrt(s)}
    fall = falls[shape]
    return lambda t: final + (1 - final) * fall(min(max((t / total - 1) / decay + 1, 0.0), 1.0))


def planned(
    make: Callable[[float], Schedule],
    total_steps: float,
    steps_per_epoch: int,
    *,
    unit: Literal["step", "epoch"] = "step",
    warmup_steps: NonNegative = 0,
    warmup: Literal["linear", "cosine", "constant"] = "linear",
    warmup_factor: PositiveFraction = 0.1,
) -> Schedule:
    """The schedule that `make(total)` gives, as a function of the optimiser step, with a warmup before it.

    `unit` is what the schedule and `warmup_steps` count. Raises ValueError where the warmup is as long as the run.
    """
    per_unit = 1 if unit == "step" else steps_per_epoch
    schedule = make(total_steps / per_unit)
    of_step: Schedule = schedule if per_unit == 1 else lambda step: schedule(step / per_unit)
    count = warmup_steps if warmup_steps < 1 else round(warmup_steps * per_unit)
    return with_warmup(of_step, total_steps, warmup_steps=count, warmup=warmup, warmup_factor=warmup_factor)


def with_warmup(
    schedule: Schedule,
    total_steps: float,
    *,
    warmup_steps: float = 0,
    warmup: Literal["linear", "cosine", "constant"] = "linear",
    warmup_factor: float = 0.1,
) -> Schedule:
    """Puts a rise from 0 before a schedule: update t of the first W has `rise((t + 1)/W)` of its rate.

    `linear`: `s`; `cosine`: `(1 − cos πs)/2`; `constant`: `warmup_factor` until W (He et al. 2016, section 4.2).
    `warmup_steps` below 1 is a fraction of the run. The schedule itself runs from step 0 under the warmup, so that the
    two agree from step W on. Raises ValueError where the warmup is as long as the run.
    """
    if 0 < warmup_steps < 1:
        _needs_end(total_steps, "a warmup_steps below 1")
    steps = round(warmup_steps * total_steps) if 0 < warmup_steps < 1 else int(warmup_steps)
    if steps == 0:
        return schedule
    if steps >= total_steps:
        raise ValueError(
            f"scheduler.warmup_steps: a warmup of {steps} steps is not shorter than the run ({total_steps} steps); "
            "scheduler.unit says what it counts"
        )
    rises = {"linear": lambda s: s, "cosine": lambda s: _half_cosine(0.0, 1.0, s), "constant": lambda s: warmup_factor}
    rise = rises[warmup]
    return lambda step: (rise((step + 1) / steps) if step < steps else 1.0) * schedule(step)


def _half_cosine(begin: float, end: float, s: float) -> float:
    """From `begin` at s = 0 along half a cosine to `end` at s = 1, where it stays."""
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * min(s, 1.0)))


def _needs_end(total: float, what: str) -> None:
    if math.isinf(total):
        raise ValueError(
            f"scheduler: {what} must know the run's length: set trainer.epochs or max_steps beside max_time"
        )
