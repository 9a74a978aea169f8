"""Schedules against hand values and torch's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, log, sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from test_configs import CHOICES, config

from dlkit.build import build
from dlkit.callbacks.base import Callback
from dlkit.schedules import (
    constant,
    cosine,
    exponential,
    factor,
    one_cycle,
    planned,
    polynomial,
    step,
    with_warmup,
    wsd,
)
from dlkit.state import State
from dlkit.trainer import fit
from dlkit.types import Schedule


def test_constant_is_one_throughout() -> None:
    assert {constant(10)(step) for step in range(12)} == {1.0}


@pytest.mark.parametrize(("step", "factor"), [(0, 1), (25, (2 + sqrt(2)) / 4), (50, 0.5), (100, 0), (130, 0)])
def test_cosine_passes_through_its_hand_values(step: int, factor: float) -> None:
    assert cosine(100)(step) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(("step", "factor"), [(0, 1), (50, 0.6), (100, 0.2), (500, 0.2)])
def test_cosine_ends_at_its_final_factor_and_stays_there(step: int, factor: float) -> None:
    assert cosine(100, final=0.2)(step) == pytest.approx(factor)


def test_cosine_gives_the_rates_of_torch() -> None:
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optim, T_max=30, eta_min=0.05)
    ours = cosine(30, final=0.1)
    for t in range(31):
        assert 0.5 * ours(t) == pytest.approx(optim.param_groups[0]["lr"], abs=1e-9)
        optim.step()
        torchs.step()


def test_warmup_rises_in_equal_steps_to_the_base_rate() -> None:
    schedule = with_warmup(constant(20), 20, warmup_steps=4)
    assert [schedule(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_after_the_warmup_the_schedule_is_where_it_would_be_without() -> None:
    plain, warm = cosine(50), with_warmup(cosine(50), 50, warmup_steps=10)
    assert [warm(step) for step in range(10, 51)] == [plain(step) for step in range(10, 51)]
    assert warm(4) == pytest.approx(0.5 * plain(4))


def test_a_warmup_below_one_is_a_fraction_of_the_run() -> None:
    fraction, steps = with_warmup(cosine(200), 200, warmup_steps=0.1), with_warmup(cosine(200), 200, warmup_steps=20)
    assert [fraction(step) for step in range(200)] == [steps(step) for step in range(200)]


def test_no_warmup_is_the_schedule_itself() -> None:
    schedule = cosine(7)
    assert with_warmup(schedule, 7, warmup_steps=0) is schedule


@pytest.mark.parametrize("steps", [10, 11])
def test_a_warmup_as_long_as_the_run_is_refused_by_name(steps: int) -> None:
    with pytest.raises(ValueError, match=rf"scheduler\.warmup_steps: .* {steps} steps .*10 steps"):
        with_warmup(constant(10), 10, warmup_steps=steps)


def test_a_cosine_warmup_rises_slowly_first_and_last() -> None:
    schedule = with_warmup(constant(20), 20, warmup_steps=4, warmup="cosine")
    expected = [(1 - sqrt(0.5)) / 2, 0.5, (1 + sqrt(0.5)) / 2, 1, 1]
    assert [schedule(step) for step in range(5)] == pytest.approx(expected)


def test_a_constant_warmup_holds_its_factor_and_then_lets_go() -> None:
    schedule = with_warmup(constant(20), 20, warmup_steps=3, warmup="constant", warmup_factor=0.2)
    assert [schedule(step) for step in range(5)] == [0.2, 0.2, 0.2, 1, 1]


# Every choice against its formula

T = 200
HAND: dict[str, tuple[Schedule, dict[float, float]]] = {
    "factor": (factor(T, alpha=0.5, floor=0.1), {0: 1, 1: 0.5, 3: 0.125, 4: 0.1, 100: 0.1}),
    "exponential": (exponential(T, alpha=0.5), {0: 1, 1: 0.5, 2.5: 0.5**2.5, 10: 2**-10}),
    "alpha 1": (exponential(T, alpha=1), {0: 1, 100: 1}),
    "polynomial": (polynomial(T, alpha=0.5, beta=2), {0: 1, 2: 1 / 4, 6: 1 / 16}),
    "polynomial, root": (polynomial(T, alpha=1, beta=0.5), {0: 1, 3: 0.5, 8: 1 / 3}),
    "step": (step(T, milestones=(0.5, 150), gamma=0.1), {0: 1, 99: 1, 100: 0.1, 149: 0.1, 150: 0.01, 199: 0.01}),
    "one_cycle": (
        one_cycle(T, rise=0.25, start=0.2, final=0.1),
        {0: 0.2, 25: 0.6, 50: 1, 125: 0.55, 200: 0.1, 250: 0.1},
    ),
    "wsd": (wsd(T, decay=0.25, final=0.2), {0: 1, 149: 1, 150: 1, 175: 0.6, 200: 0.2, 300: 0.2}),
    "wsd, cosine": (wsd(T, decay=0.5, shape="cosine"), {100: 1, 125: (2 + sqrt(2)) / 4, 150: 0.5, 200: 0}),
    "wsd, sqrt": (wsd(T, decay=1, shape="sqrt"), {0: 1, 50: 0.5, 128: 0.2, 200: 0}),
}


@pytest.mark.parametrize("name", HAND)
def test_a_schedule_passes_through_its_hand_values(name: str) -> None:
    schedule, expected = HAND[name]
    assert {t: schedule(t) for t in expected} == pytest.approx(expected)


@pytest.mark.parametrize("name", HAND)
def test_a_warmup_multiplies_any_schedule_and_then_leaves_it_alone(name: str) -> None:
    schedule, _ = HAND[name]
    warm = with_warmup(schedule, T, warmup_steps=8)
    assert [warm(t) for t in range(8)] == pytest.approx([(t + 1) / 8 * schedule(t) for t in range(8)])
    assert [warm(t) for t in range(8, T)] == [schedule(t) for t in range(8, T)]


def test_multiplying_by_alpha_at_every_step_is_the_exponential_in_closed_form() -> None:
    rate = 1.0
    for t in range(500):
        assert factor(500, alpha=0.99)(t) == pytest.approx(rate, rel=1e-12)
        assert exponential(500, alpha=0.99)(t) == pytest.approx(rate, rel=1e-12)
        rate *= 0.99


@pytest.mark.parametrize(
    ("schedule", "area"),
    [
        (cosine(T, final=0.2), 0.6),
        (one_cycle(T, start=0.2, final=0.1), 0.3 * 0.6 + 0.7 * 0.55),
        (wsd(T, decay=0.4), 0.8),
        (step(T), 0.5 + 0.25 * 0.1 + 0.25 * 0.01),
        (exponential(T, alpha=0.99), (1 - 0.99**T) / (-log(0.99)) / T),
        (polynomial(T, alpha=0.1, beta=1), log(1 + 0.1 * T) / 0.1 / T),
        (constant(T), 1),
    ],
)
def test_the_area_under_a_schedule_is_that_of_its_integral(schedule: Schedule, area: float) -> None:
    assert sum(schedule(t + 0.5) for t in range(T)) / T == pytest.approx(area, rel=1e-3)


def torchs_rates(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    optim = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = make(optim)
    rates = []
    for _ in range(steps):
        rates.append(optim.param_groups[0]["lr"])
        optim.step()
        torchs.step()
    return rates


def test_step_exponential_and_one_cycle_give_the_rates_of_torch() -> None:
    scheduler = torch.optim.lr_scheduler
    pairs = [
        (step(40, milestones=(10, 25), gamma=0.3), lambda o: scheduler.MultiStepLR(o, [10, 25], 0.3)),
        (exponential(40, alpha=0.9), lambda o: scheduler.ExponentialLR(o, 0.9)),
    ]
    for ours, make in pairs:
        assert [ours(t) for t in range(40)] == pytest.approx(torchs_rates(make, 40))
    # torch's peak is at pct_start · total − 1 and its end at total − 1
    ours = one_cycle(40, rise=0.275, start=1 / 25, final=1e-3)
    torchs = partial(
        scheduler.OneCycleLR, max_lr=1, total_steps=41, pct_start=12 / 41, final_div_factor=40, cycle_momentum=False
    )
    assert [ours(t) for t in range(40)] == pytest.approx(torchs_rates(torchs, 40))


# The plan: units, ends, custom schedules


def test_counting_in_epochs_stretches_a_schedule_by_the_steps_of_an_epoch() -> None:
    in_steps = planned(partial(exponential, alpha=0.5), 60, 10)
    in_epochs = planned(partial(exponential, alpha=0.5), 60, 10, unit="epoch")
    assert [in_epochs(10 * t) for t in range(7)] == pytest.approx([in_steps(t) for t in range(7)])
    assert in_epochs(5) == pytest.approx(sqrt(0.5))


def test_milestones_and_warmup_are_counted_in_epochs_too_and_fractions_stay_fractions() -> None:
    schedule = planned(partial(step, milestones=(2, 4), gamma=0.5), 60, 10, unit="epoch", warmup_steps=1)
    assert [schedule(t) for t in (0, 4, 9, 19, 20, 39, 40)] == pytest.approx([0.1, 0.5, 1, 1, 0.5, 0.5, 0.25])
    halves = [planned(cosine, 60, 10, unit=unit, warmup_steps=0.5) for unit in ("step", "epoch")]  # type: ignore[arg-type]
    assert [halves[0](t) for t in range(60)] == pytest.approx([halves[1](t) for t in range(60)])


@pytest.mark.parametrize("make", [cosine, step, one_cycle, wsd])
def test_what_must_know_the_runs_length_refuses_one_without_end(make: Callable[[float], Schedule]) -> None:
    with pytest.raises(ValueError, match=r"scheduler: .*trainer\.epochs or max_steps"):
        planned(make, inf, 10)


def test_a_warmup_that_is_a_fraction_of_no_length_is_refused_too() -> None:
    with pytest.raises(ValueError, match="warmup_steps below 1"):
        planned(constant, inf, 10, warmup_steps=0.1)


@pytest.mark.parametrize(
    "make",
    [constant, partial(factor, alpha=0.9), partial(exponential, alpha=0.9), partial(polynomial, alpha=1, beta=1),
     partial(step, milestones=(3, 5))],
)  # fmt: skip
def test_what_counts_from_the_start_needs_no_end(make: Callable[[float], Schedule]) -> None:
    open_end, bounded = (planned(make, total, 10, unit="epoch", warmup_steps=2) for total in (inf, 80))
    assert [open_end(t) for t in range(80)] == [bounded(t) for t in range(80)]


def test_a_milestone_past_the_end_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"scheduler\.milestones: \[300\] .*at 200"):
        step(T, milestones=(100, 300))


# From the command line


def test_a_run_that_only_the_clock_ends_can_have_any_schedule_that_needs_no_end(tmp_path: Path) -> None:
    run = build(config("trainer.max_time=1", "scheduler=exponential"), tmp_path)
    assert run.schedule(40) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="scheduler: cosine must know"):
        build(config("trainer.max_time=1", "scheduler=cosine"), tmp_path)


def test_a_schedule_of_ones_own_is_named_by_its_target(tmp_path: Path) -> None:
    run = build(config("scheduler._target_=test_schedules.sawtooth", "+scheduler.teeth=4"), tmp_path)
    total = run.state.total_steps
    assert [run.schedule(total * t / 8) for t in range(4)] == pytest.approx([1, 0.5, 1, 0.5])


def sawtooth(total: float, *, teeth: int) -> Schedule:
    return lambda t: 1 - (teeth * t / total) % 1


@pytest.mark.parametrize("choice", CHOICES["scheduler"])
def test_every_choice_is_at_the_base_rate_once_ends_lower_or_there_and_never_rises_above(
    choice: str, tmp_path: Path
) -> None:
    run = build(config(f"scheduler={choice}", "data=iris"), tmp_path)
    rates = [run.schedule(t) for t in range(run.state.total_steps)]
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[-1] < 0.2 or choice == "constant"
    assert rates[-1] >= 0


@pytest.mark.parametrize("choice", CHOICES["scheduler"])
def test_a_resume_in_the_middle_gives_the_same_rates(choice: str, tmp_path: Path) -> None:
    words = [f"scheduler={choice}", "scheduler.warmup_steps=0.2", "data=iris", "trainer.epochs=2"]
    whole, first, second = (Rates() for _ in range(3))
    build_and_fit(words, tmp_path / "a", whole)
    saved = build_and_fit(words, tmp_path / "b", first, until=7)
    build_and_fit(words, tmp_path / "b", second, saved=saved)
    assert len(whole.seen) == 18
    assert first.seen + second.seen == whole.seen


class Rates(Callback):
    """Remembers the rate of every step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_grad(self, state: State) -> None:
        self.seen.append(state.lr)


def build_and_fit(words: list[str], place: Path, rates: Rates, until: int = 0, saved: Any = None) -> dict[str, Any]:
    run = build(config(*words), place, saved)
    run.state.total_steps = until or run.state.total_steps
    fit(run.state, run.engine, run.data, run.schedule, [rates], eval_every=99, log_every=99)
    return run.state.state_dict()
