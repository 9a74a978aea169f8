"""Saved at any step and loaded into fresh objects, a run ends with bitwise the same weights and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_engine import Drawn, assert_same, make_engine, small, take, train
from test_trainer import Events, run

from dlkit.callbacks.base import Callback
from dlkit.ema import Ema
from dlkit.engine import Engine
from dlkit.optim import adam, momentum
from dlkit.rundir import load, save
from dlkit.schedules import cosine
from dlkit.state import State
from dlkit.types import Spec

STEPS = 12
KINDS: dict[str, dict[str, Any]] = {
    "adam, dropout, average": {"ema": 0.9, "dropout": 0.4},
    "batch norm, accumulation": {"batch_norm": True, "accumulate": 2, "make_optim": lambda p: momentum(p, lr=0.05)},
    "everything": {"ema": 0.9, "dropout": 0.4, "batch_norm": True, "accumulate": 3},
    "float16": {"dropout": 0.2, "dtype": torch.float16},
}


class SaveEach(Callback):
    """A file for every step."""

    def on_checkpoint(self, state: State) -> None:
        save(state.state_dict(), state.folder / f"{state.step}.pt")


def fresh(
    folder: Path, ema: float = 0, dropout: float = 0, batch_norm: bool = False, make_optim: Any = None, **options: Any
) -> Engine:
    model = small(dropout=dropout, batch_norm=batch_norm)
    engine = make_engine(folder, model, make_optim or (lambda p: adam(p, lr=0.01)), total_steps=STEPS, **options)
    if ema:
        engine.state.parts["ema"] = Ema(model, ema)
    return engine


def train_to_the_end(engine: Engine, *callbacks: Callback) -> Events:
    events = Events()
    grid = {"eval_every": 3, "log_every": 4, "save_every": 0}
    run(engine, Drawn(), events, *callbacks, schedule=cosine(STEPS), **grid)
    return events


def without_speed(figures: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k != "samples_per_second"} for line in figures]


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_at_any_step_is_bitwise_exact(tmp_path: Path, kind: str) -> None:
    whole = fresh(tmp_path, **KINDS[kind])
    figures = without_speed(train_to_the_end(whole, SaveEach()).figures)
    for step in (1, 5, 6, 11):
        torch.manual_seed(1000 + step)  # whatever came before
        resumed = fresh(tmp_path, **KINDS[kind])
        for p in resumed.state.eval_model.parameters():
            p.data.normal_()
        resumed.state.load_state_dict(load(tmp_path / f"{step}.pt"))
        assert resumed.state.step == step
        events = train_to_the_end(resumed)
        assert_same(resumed.state.model, whole.state.model)
        assert_same(resumed.state.eval_model, whole.state.eval_model)
        assert without_speed(events.figures) == [line for line in figures if line["step"] > step]


def test_the_file_holds_tensors_and_plain_data_and_says_what_data_it_was_for(tmp_path: Path) -> None:
    engine = fresh(tmp_path, **KINDS["everything"])
    train(engine, take(Drawn(), 2))
    engine.state.best = {"metric": "val/loss", "value": 0.5, "step": 2}
    save(engine.state.state_dict(), tmp_path / "last.pt")
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    assert Spec(**content["spec"]) == engine.state.spec
    assert content["best"] == {"metric": "val/loss", "value": 0.5, "step": 2}
    assert set(content["parts"]) == {"encoder", "ema"}


def test_what_else_must_survive_is_loaded_into_its_part(tmp_path: Path) -> None:
    engine, other = fresh(tmp_path), fresh(tmp_path)
    engine.state.parts["encoder"].load_state_dict({"scale": torch.tensor([42.0])})
    save(engine.state.state_dict(), tmp_path / "last.pt")
    other.state.load_state_dict(load(tmp_path / "last.pt"))
    assert other.state.parts["encoder"].state_dict() == {"scale": torch.tensor([42.0])}


def test_random_numbers_continue_where_the_state_was_taken(tmp_path: Path) -> None:
    engine = fresh(tmp_path)
    saved = engine.state.state_dict()
    expected = torch.rand(3)
    torch.rand(10)
    engine.state.load_state_dict(saved)
    assert torch.equal(torch.rand(3), expected)


def test_a_compiled_model_leaves_no_trace_in_the_names_of_the_file(tmp_path: Path) -> None:
    plain, compiled = fresh(tmp_path, ema=0.9), fresh(tmp_path, ema=0.9)
    compiled.state.model.compile(backend="eager")
    for engine in (plain, compiled):
        train(engine, take(Drawn(), 3))
    ours, theirs = compiled.state.state_dict(), plain.state.state_dict()
    for part in (ours["model"], ours["parts"]["ema"]):
        assert list(part) == list(theirs["model"]) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    assert_same(compiled.state.model, plain.state.model)


def test_a_run_is_done_at_its_last_step_or_with_a_reason(tmp_path: Path) -> None:
    state = fresh(tmp_path).state
    assert not state.done
    state.step = STEPS
    assert state.done
    state.step, state.stop = 1, "enough"
    assert state.done


def test_epochs_and_the_rate_are_read_from_the_step_and_the_optimiser(tmp_path: Path) -> None:
    state = fresh(tmp_path).state
    state.step = 8
    state.optim.param_groups[0]["lr"] = 0.25
    assert (state.epoch, state.lr) == (8 / 5, 0.25)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_a_run_on_a_gpu_resumes_wherever_the_file_was_loaded(tmp_path: Path, place: str) -> None:
    device = torch.device("cuda")
    engine = make_engine(tmp_path, small().to(device), device=device)
    batches = [type(b)(b.x.to(device), b.y.to(device)) for b in take(Drawn(), 4)]
    train(engine, batches[:2])
    save(engine.state.state_dict(), tmp_path / "last.pt")
    train(engine, batches[2:])
    other = make_engine(tmp_path, small().to(device), device=device)
    other.state.load_state_dict(load(tmp_path / "last.pt", place))
    train(other, batches[2:])
    assert_same(engine.state.model, other.state.model)
    assert engine.read_log() == other.read_log()
