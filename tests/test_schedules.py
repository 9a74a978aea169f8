"""Schedules against hand values and torch's."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from dlkit.schedules import constant, cosine, with_warmup


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
    for step in range(31):
        assert 0.5 * ours(step) == pytest.approx(optim.param_groups[0]["lr"], abs=1e-9)
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
    with pytest.raises(ValueError, match=rf"scheduler\.warmup_steps={steps} .*10 steps"):
        with_warmup(constant(10), 10, warmup_steps=steps)
