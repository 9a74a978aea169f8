"""Sweeps whose jobs are trained as one model, as a user starts, disturbs and goes on with them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from small_sweeps import end_all, ended, results, start, sweep, wait_until

from dlkit.sweeps.jobs import Job
from dlkit.sweeps.launchers.stackable import groups, why_alone
from dlkit.sweeps.launchers.stacked import parts

FOLDER = Path("outputs/sweeps/s")
STACKED = (
    "hydra/launcher=stacked",
    "hydra.launcher.n_jobs=1",
    "trainer.threads=1",
    "callbacks=minimal",
    "data=digits",
    "model.hidden=[8]",
)
CONFIG: dict[str, Any] = {
    "seed": 0,
    "model": {"_target_": "dlkit.models.mlp.mlp", "hidden": [8], "dropout": 0.0, "batch_norm": False},
    "optim": {"_target_": "dlkit.optim.momentum", "lr": 0.1, "momentum": 0.9},
    "regularizer": {"_target_": "dlkit.regularizers.l2", "gamma": 0.1},
    "trainer": {"compile": False, "dtype": "float32", "accumulate": 1, "overfit_batches": 0},
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    end_all()


def job(**options: Any) -> Job:
    """A job whose config differs in these; `__` stands for a dot, `kind` for the target."""
    config = json.loads(json.dumps(CONFIG))
    for key, value in options.items():
        node, _, leaf = key.replace("kind", "_target_").partition("__")
        node, leaf = (node, leaf) if leaf else ("", node)
        (config[node] if node else config)[leaf] = value
    return Job(str(options), (), config, {}, "", "")


@pytest.mark.parametrize(
    ("options", "together"),
    [
        ({"seed": 1}, True),
        ({"optim__lr": 1.0}, True),
        ({"regularizer__gamma": 0.5}, True),
        ({"optim__momentum": 0.5}, False),
        ({"optim__kind": "dlkit.optim.sgd"}, False),
        ({"regularizer__kind": "dlkit.regularizers.l1"}, False),
        ({"model__hidden": [16]}, False),
        ({"model__dropout": 0.5}, False),
        ({"trainer__overfit_batches": 2}, False),
    ],
)
def test_jobs_are_grouped_by_what_must_be_the_same(options: dict[str, Any], together: bool) -> None:
    assert len(groups([job(), job(**options)])) == (1 if together else 2)


def test_rates_of_dropout_may_differ_where_there_are_some() -> None:
    assert len(groups([job(model__dropout=0.1), job(model__dropout=0.5)])) == 1
    other = {"model__kind": "dlkit.models.cnn.cnn"}
    assert len(groups([job(model__dropout=0.1, **other), job(model__dropout=0.5, **other)])) == 2


def test_what_is_known_to_need_a_model_of_its_own_is_told() -> None:
    assert why_alone(CONFIG) == ""
    assert "compile" in why_alone(job(trainer__compile=True).config)
    assert "float16" in why_alone(job(trainer__dtype="float16").config)
    assert "muon" in why_alone(job(optim__kind="dlkit.optim.muon").config)


def test_a_group_is_cut_into_a_part_for_each_process_unless_parts_would_be_small() -> None:
    jobs = [job(seed=seed) for seed in range(10)]
    assert [len(part) for part in parts(jobs, 2)] == [5, 5]
    assert [len(part) for part in parts(jobs, 8)] == [5, 5]
    assert [len(part) for part in parts(jobs[:3], 8)] == [3]
    assert [*chain(*parts(jobs, 2))] == jobs


@pytest.mark.slow
def test_jobs_of_a_sweep_are_trained_as_one_model_and_the_rest_one_by_one() -> None:
    command = (
        *STACKED,
        "trainer.epochs=2",
        "optim=sgd",
        "optim.lr=0.1,1e30",
        "seed=range(3)",
        "data.batch_size=32,1000",
    )
    out = sweep(*command, code=1)
    found = results()
    assert len(found) == 12
    assert {result["status"] for name, result in found.items() if "lr=0.1" in name} == {"finished"}
    assert {result["status"] for name, result in found.items() if "lr=1e" in name and "=32" in name} == {"failed"}
    assert "stacked 6 jobs as one model, " in out and "x faster a step than one after another (measured)" in out
    env = json.loads((FOLDER / "optim.lr=0.1,seed=0,data.batch_size=32" / "env.json").read_text())
    assert env["stacked"] == 6
    written = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")}
    assert "nothing to run" in sweep(*command, code=1)
    assert {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")} == written


@pytest.mark.slow
def test_after_ctrl_c_the_sweep_goes_on_where_it_was_and_so_after_a_kill() -> None:
    long = (*STACKED, "trainer.epochs=100000", "trainer.save_every=0.2", "seed=0,1,2,3")
    first = start("train", "-m", "sweep=s", *long)
    wait_until(lambda: len(list(FOLDER.glob("*/checkpoints/last.pt"))) == 4)
    first.send_signal(signal.SIGINT)
    ended(first, code=130)
    before = results()
    assert [result["status"] for result in before.values()] == ["interrupted"] * 4
    assert len({result["step"] for result in before.values()}) == 1
    again = start("sweep", "resume", "s")
    wait_until(lambda: all("resume  at step" in (FOLDER / name / "job.log").read_text() for name in before))
    again.kill()
    again.communicate()
    wait_until(lambda: not list(FOLDER.glob("*/.lock")))  # they save themselves and end
    assert all(results()[name]["step"] > result["step"] for name, result in before.items())


@pytest.mark.slow
def test_a_search_trains_the_trials_that_it_draws_at_once_as_one_model() -> None:
    pytest.importorskip("optuna")
    words = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=4", "trainer.epochs=2")
    out = sweep(*STACKED[2:], STACKED[0], *words, "optim.lr=tag(log,interval(1e-4,1e-1))")
    assert "8 trials complete" in out
    assert {json.loads(path.read_text())["stacked"] for path in FOLDER.glob("*/env.json")} == {4}
