"""What is read of a sweep's folder in every state, and of runs that nobody planned together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_sweeps import figures, make_sweep
from small_runs import make_run

from dlkit.rundir import locked
from dlkit.sweeps.report import read

SEEDS = {"seed": ["0", "1", "2", "3", "4"]}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_job_without_a_result_runs_was_killed_or_waits() -> None:
    sweep = make_sweep("s", SEEDS, lambda job: {} if job["seed"] == "0" else None)
    for name in ("seed=1", "seed=2", "seed=3"):
        (sweep / name).mkdir()
    for name in ("seed=1", "seed=2"):
        (sweep / name / "config.yaml").write_text("seed: 0\n")
        (sweep / name / "metrics.jsonl").write_text('{"step": 5, "epoch": 0.5, "val/accuracy": 0.4}\n{"step": 6, "ep')
    with locked(sweep / "seed=1"):
        jobs = read.read(sweep).jobs
    assert [job.status for job in jobs] == ["finished", "running", "killed", "waiting", "waiting"]
    assert (jobs[1].epoch, jobs[1].metrics["val/accuracy"]) == (0.5, 0.4)
    assert [job.to_come for job in jobs] == [False, True, True, True, True]


def test_a_damaged_result_is_a_failure_of_that_job_alone() -> None:
    sweep = make_sweep("s", {"seed": ["0", "1"]}, lambda job: {})
    (sweep / "seed=1" / "result.json").write_text('{"status": "fini')
    whole, damaged = read.read(sweep).jobs
    assert (whole.status, whole.failed) == ("finished", False)
    assert (damaged.status, damaged.failed, damaged.reason) == ("damaged", True, "its result.json cannot be read")


def test_the_reason_is_one_line_and_the_log_what_the_job_printed() -> None:
    sweep = make_sweep("s", {"seed": ["0"]}, lambda job: {"status": "failed", "reason": "too large\nTraceback …"})
    (sweep / "seed=0" / "job.log").touch()
    (job,) = read.read(sweep).jobs
    assert (job.reason, job.log) == ("too large", sweep / "seed=0" / "job.log")


def test_a_job_that_a_search_pruned_is_not_done() -> None:
    ends = {"0": "no better for 3 epochs", "1": "pruned at epoch 2"}
    sweep = make_sweep("s", {"seed": list(ends)}, lambda job: {"status": "stopped", "reason": ends[job["seed"]]})
    assert [(job.status, job.done) for job in read.read(sweep).jobs] == [("stopped", True), ("pruned", False)]


def test_a_sweep_is_found_by_its_folder_its_name_and_as_the_latest() -> None:
    for name, time in (("old", "2026-01-01"), ("new", "2026-02-01")):
        plan = make_sweep(f"outputs/sweeps/{name}", {"seed": ["0"]}, lambda job: {}) / "sweep.json"
        plan.write_text(json.dumps(json.loads(plan.read_text()) | {"time": time}))
    assert read.find("old") == read.find("outputs/sweeps/old") == Path("outputs/sweeps/old")
    assert read.find("latest") == Path("outputs/sweeps/new")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [("odl", "did you mean old"), ("outputs/sweeps/old/seed=0", "is a single run"), ("latest", "under")],
)
def test_where_there_is_no_sweep_the_answer_says_what_there_is(asked: str, answer: str) -> None:
    if asked != "latest":
        make_sweep("outputs/sweeps/old", {"seed": ["0"]}, lambda job: {})
    with pytest.raises(ValueError, match=answer):
        read.find(asked)


def test_a_folder_without_runs_is_refused() -> None:
    Path("empty").mkdir()
    with pytest.raises(ValueError, match="there are no runs in it"):
        read.read(Path("empty"))


def run(
    name: str, model: str, config: dict[str, Any], typed: list[str] | None = None, loss: str = "cross_entropy"
) -> None:
    env = {"choices": {"model": model, "data": "digits", "loss": loss}, "arguments": typed or []}
    make_run(f"runs/{name}", config=config, env=env, result=figures(0.9, 0.9))


def test_what_differs_between_runs_that_nobody_planned_counts_as_swept() -> None:
    run("a", "mlp", {"optim.lr": 0.01, "seed": 0, "name": "first"})
    run("b", "mlp", {"optim.lr": 0.001, "seed": 0})
    run("c", "mlp", {"optim.lr": 0.001, "seed": 1})
    sweep = read.read(Path("runs"))
    assert sweep.swept == {"optim.lr": ["0.001", "0.01"], "seed": ["0", "1"]}
    assert (sweep.options, sweep.repeats, sweep.planned) == (["optim.lr"], ["seed"], False)
    assert sweep.jobs[0].overrides == {"optim.lr": "0.01", "seed": "0"}


def test_what_another_model_brings_with_it_was_not_swept() -> None:
    run("a", "mlp", {"model.hidden": [64]}, ["model=mlp"])
    run("b", "svm", {"model.penalty": 1, "model.hidden": None}, ["model=svm"], loss="hinge")
    assert read.read(Path("runs")).swept == {"model": ["mlp", "svm"]}


def test_runs_that_differ_in_nothing_have_no_swept_key() -> None:
    run("a", "mlp", {})
    run("b", "mlp", {})
    sweep = read.read(Path("runs"))
    assert sweep.swept == {} and len(sweep.jobs) == 2
