from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from dlkit.lectures.surfaces import SURFACES, Name, Output, Surface, Trajectory, one_example, trajectory
from dlkit.optim import sgd
from dlkit.state import State
from dlkit.types import Spec

SPEC = Spec("tabular", (1,), 1, "regression")


@pytest.mark.parametrize("name", SURFACES)
def test_the_minima_are_where_the_gradient_vanishes_and_no_point_around_is_lower(name: Name) -> None:
    for at in SURFACES[name].minima:
        w = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        value = SURFACES[name].function(w[0], w[1])
        (gradient,) = torch.autograd.grad(value, w)
        assert gradient.norm() < 1e-3  # known to six digits
        around = w.detach() + 0.01 * torch.randn(100, 2, dtype=torch.float64)
        assert (SURFACES[name].function(*around.T) > value - 1e-9).all()


@pytest.mark.parametrize("name", SURFACES)
def test_a_picture_of_a_surface_has_its_start_and_its_minima(name: Name) -> None:
    left, right, low, high = SURFACES[name].limits
    for u, v in (SURFACES[name].start, *SURFACES[name].minima):
        assert left < u < right and low < v < high


def test_every_surface_can_be_named() -> None:
    assert set(get_args(Name)) == set(SURFACES)


def test_the_model_gives_the_functions_value_for_every_example_and_the_loss_is_that() -> None:
    out = Surface(SPEC, 1, name="ravine")(torch.randn(3, 1))
    assert out.shape == (3, 1)
    assert Output(SPEC)(out, torch.randn(3, 1)).tolist() == pytest.approx([0.1 * 25 + 2 * 4] * 3)


def test_starts_differ_by_the_noise() -> None:
    starts = torch.stack([Surface(SPEC, 1, name="ravine", noise=0.1).w.detach() for _ in range(1000)])
    assert starts.mean(0).tolist() == pytest.approx(SURFACES["ravine"].start, abs=0.02)
    assert starts.std(0).tolist() == pytest.approx([0.1, 0.1], rel=0.1)


def test_an_epoch_is_one_example() -> None:
    assert len(one_example().splits["train"][0]) == 1


def state(folder: Path, model: torch.nn.Module) -> State:
    return State(model, sgd(model.parameters(), lr=0.1), SPEC, folder, 2, 1, 1)


def test_a_trajectory_has_all_weights_before_and_after_each_step_and_survives_a_resume(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    before = [p.item() for p in model.parameters()]
    first = Trajectory()
    first.on_start(state(tmp_path, model))
    with torch.no_grad():
        model.weight += 1
    first.on_step(state(tmp_path, model))
    again = Trajectory()
    again.load_state_dict(first.state_dict())
    again.on_start(state(tmp_path, model))
    with torch.no_grad():
        model.bias += 2
    again.on_step(state(tmp_path, model))
    again.on_end(state(tmp_path, model))
    w, b = before
    np.testing.assert_allclose(trajectory(tmp_path), [[w, b], [w + 1, b], [w + 1, b + 2]], rtol=1e-6)
