"""Learning-rate schedules: closed forms `step -> factor` on each parameter group's base rate.

`step` counts completed optimiser updates, so nothing needs saving: a resumed run continues with the same rates.
"""

from __future__ import annotations

import math

from dlkit.types import Fraction, NonNegative, Schedule


def constant(total_steps: int) -> Schedule:
    """`η_t = η₀`."""
    return lambda step: 1.0


def cosine(total_steps: int, *, final: Fraction = 0.0) -> Schedule:
    """`η_t = η_T + (η₀ − η_T)/2 · (1 + cos(π t/T))` with `η_T = final · η₀` (Loshchilov and Hutter 2017, eq. 5)."""
    return lambda step: final + (1 - final) / 2 * (1 + math.cos(math.pi * min(step / total_steps, 1.0)))


def with_warmup(schedule: Schedule, total_steps: int, *, warmup_steps: NonNegative = 0) -> Schedule:
    """Puts a linear rise from 0 before a schedule: update t of the first W has `(t + 1)/W` of its rate.

    `warmup_steps` below 1 is a fraction of the run. The schedule itself runs from step 0 under the warmup, so that the
    two agree from step W on. Raises ValueError where the warmup is as long as the run.
    """
    steps = round(warmup_steps * total_steps) if warmup_steps < 1 else int(warmup_steps)
    if steps == 0:
        return schedule
    if steps >= total_steps:
        raise ValueError(f"scheduler.warmup_steps={warmup_steps} is not shorter than the run ({total_steps} steps)")
    return lambda step: min((step + 1) / steps, 1.0) * schedule(step)
