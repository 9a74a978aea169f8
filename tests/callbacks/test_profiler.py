"""trainer.profile: a table in the log, a trace in the folder, and the run as it would be without."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_configs import config

from dlkit.build import Experiment, build
from dlkit.callbacks.profiler import STEPS, WAIT, WARM_UP, Profiler
from dlkit.sweeps.launchers.stackable import why_alone
from dlkit.trainer import fit

GPU = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
BOARD = "+callbacks.tensorboard._target_=dlkit.callbacks.tensorboard.TensorBoard"


def trained(place: Path, *words: str) -> Experiment:
    place.mkdir()
    run = build(config("data=digits", "callbacks=minimal", *words), place)
    fit(run.state, run.engine, run.data, run.schedule, run.callbacks, eval_every=20, log_every=10)
    return run


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(r.getMessage() for r in caplog.records)


def steps_in(trace: Path) -> int:
    """How many steps a trace tells of."""
    events: list[dict[str, Any]] = json.loads(trace.read_text())["traceEvents"]
    return len({one["name"] for one in events if str(one.get("name")).startswith("ProfilerStep#")})


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_a_profiled_run_is_the_unprofiled_one_and_tells_where_time_goes(
    device: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    words = (
        "trainer.max_steps=30",
        f"trainer.device={device}",
        f"trainer.deterministic={str(device == 'cuda').lower()}",
    )
    plain, profiled = trained(tmp_path / "a", *words), trained(tmp_path / "b", *words, BOARD, "trainer.profile=true")
    ours, theirs = profiled.state.model.state_dict(), plain.state.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    text = said(caplog)
    assert f"profile of steps {WAIT + WARM_UP + 1} to {WAIT + WARM_UP + STEPS}" in text
    assert "Self CPU" in text and "aten::addmm" in text and "trace.json" in text
    assert steps_in(tmp_path / "b" / "trace.json") == STEPS
    events = EventAccumulator(str(tmp_path / "b"))
    events.Reload()
    assert "profile/text_summary" in events.Tags()["tensors"]
    assert not (tmp_path / "a" / "trace.json").exists()


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_a_short_run_is_profiled_as_far_as_it_goes(
    steps: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trained(tmp_path / "a", f"trainer.max_steps={steps}", "trainer.profile=true")
    assert f"to {steps}\n" in said(caplog)
    assert 1 <= steps_in(tmp_path / "a" / "trace.json") <= STEPS


def test_a_single_step_is_not_profiled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path / "a", "trainer.max_steps=1", "trainer.profile=true")
    assert "no two steps" in said(caplog) and not (tmp_path / "a" / "trace.json").exists()


def test_a_run_that_stops_before_its_steps_come_leaves_no_trace(tmp_path: Path) -> None:
    run = build(config("data=digits", "callbacks=minimal", "trainer.profile=true"), tmp_path)
    profiler = next(one for one in run.callbacks if isinstance(one, Profiler))
    profiler.on_start(run.state)
    profiler.on_step(run.state)
    profiler.on_end(run.state)
    profiler.on_end(run.state)
    assert not (tmp_path / "trace.json").exists()


def test_it_is_off_by_default_and_keeps_a_job_out_of_a_stack(tmp_path: Path) -> None:
    run = build(config("data=digits", "callbacks=minimal"), tmp_path)
    assert not any(isinstance(one, Profiler) for one in run.callbacks)
    assert "trainer.profile" in why_alone({"trainer": {"profile": True}})
