"""Sweeps on this machine, as a user starts, disturbs and goes on with them."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from small_sweeps import SMALL, end_all, ended, results, start, sweep, wait_until, workers

from dlkit.sweeps.launchers import slots
from dlkit.sweeps.launchers.slots import Slot, slots_here
from dlkit.sweeps.plan import Plan

FOLDER = Path("outputs/sweeps/s")
LONG = (*SMALL, "data=digits", "trainer.epochs=100000", "trainer.save_every=1", "trainer.threads=1")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    end_all()


@pytest.mark.slow
def test_one_job_fails_the_others_finish_and_the_same_command_again_runs_nothing() -> None:
    command = (*SMALL, "data=digits", "model=mlp", "optim=sgd", "optim.lr=0.1,1e+30", "seed=0,1")
    out = sweep(*command, code=1)
    found = results()
    assert {name: result["status"] for name, result in found.items()} == {
        "optim.lr=0.1,seed=0": "finished",
        "optim.lr=0.1,seed=1": "finished",
        "optim.lr=1e+30,seed=0": "failed",
        "optim.lr=1e+30,seed=1": "failed",
    }
    assert "optim.lr=1e+30,seed=0  failed: the loss is not finite at step 2" in out
    assert "finished after" in (FOLDER / "optim.lr=0.1,seed=0" / "job.log").read_text()
    written = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")}
    sweep(*command, code=1)
    assert {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/*")} == written
    sweep(*command, "hydra.launcher.rerun_failed=true", code=1)
    assert {path for path in FOLDER.glob("*/job.log") if path.stat().st_mtime_ns > written[path]} == set(
        FOLDER.glob("optim.lr=1e+30*/job.log")
    )


def test_a_job_is_the_run_that_its_options_make_alone() -> None:
    sweep(*SMALL, "seed=0,3")
    ended(start("train", "run_dir=alone", *SMALL, "seed=3"))
    alone = json.loads(Path("alone/result.json").read_text())
    assert results()["seed=3"]["metrics"] == alone["metrics"]
    assert results()["seed=3"]["digest"] == alone["digest"]


@pytest.mark.slow
def test_a_second_launcher_is_kept_out_and_after_ctrl_c_the_sweep_goes_on() -> None:
    first = start("train", "-m", "sweep=s", *LONG, "seed=0,1,2", "hydra.launcher.n_jobs=2")
    wait_until(lambda: len(list(FOLDER.glob("*/checkpoints/last.pt"))) == 2)
    assert "is at work there" in sweep(*LONG, "seed=0,1,2", code=2)
    first.send_signal(signal.SIGINT)
    ended(first, code=130)
    found = results()
    assert [result["status"] for result in found.values()] == ["interrupted"] * 2
    assert not workers(FOLDER)
    saved = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*/checkpoints/last.pt")}
    again = start("sweep", "resume", "s", "hydra.launcher.n_jobs=3")
    wait_until(lambda: len(workers(FOLDER)) == 3)
    wait_until(lambda: all(path.stat().st_mtime_ns > before for path, before in saved.items()))
    assert all("resume  at step" in (FOLDER / name / "job.log").read_text() for name in found)
    again.send_signal(signal.SIGTERM)
    ended(again, code=130)
    assert all(results()[name]["step"] > result["step"] for name, result in found.items())


@pytest.mark.slow
def test_a_killed_job_is_begun_again_from_its_checkpoint_if_asked() -> None:
    long = [word.replace("100000", "200") for word in LONG]
    process = start("train", "-m", "sweep=s", *long, "seed=0,1", "hydra.launcher.n_jobs=1", "hydra.launcher.retries=1")
    wait_until(lambda: list(FOLDER.glob("*/checkpoints/last.pt")))
    os.kill(wait_until(lambda: workers(FOLDER))["seed=0"], signal.SIGKILL)
    out = ended(process)
    assert "seed=0  killed: its process ended by SIGKILL" in out
    assert "resume  at step" in (FOLDER / "seed=0" / "job.log").read_text()
    assert results()["seed=0"]["status"] == "finished"


@pytest.mark.slow
def test_two_sweeps_that_begin_together_do_not_touch_each_other() -> None:
    processes = [
        start("train", "-m", f"sweep={name}", *SMALL, f"seed={seeds}") for name, seeds in (("a", "0,1"), ("b", "1,2"))
    ]
    for process in processes:
        ended(process)
    assert {name: set(results(name)) for name in "ab"} == {"a": {"seed=0", "seed=1"}, "b": {"seed=1", "seed=2"}}
    assert results("a")["seed=1"]["digest"] == results("b")["seed=1"]["digest"]


@pytest.mark.slow
def test_a_sweep_whose_workers_and_launcher_are_killed_ends_as_if_nothing_had_happened() -> None:
    command = (
        *("callbacks=minimal", "data=digits", "trainer.epochs=20", "trainer.save_every=1"),
        *("model=logreg,mlp", "optim=sgd,adam", "optim.lr=0.001,0.01", "seed=0,1,2"),
    )
    ended(start("train", "-m", "sweep=calm", *command))
    process = start("train", "-m", "sweep=s", *command)
    moments = random.Random(0)
    ended_at = {}
    for _ in range(2):
        name, pid = wait_until(lambda: list(workers(FOLDER).items()))[0]
        time.sleep(moments.uniform(0, 1))
        with suppress(ProcessLookupError):  # it had just ended
            os.kill(workers(FOLDER).get(name, pid), signal.SIGKILL)
    time.sleep(moments.uniform(0, 3))
    process.kill()
    process.communicate()
    wait_until(lambda: not workers(FOLDER))  # they end themselves
    done = {name for name, result in results().items() if result["status"] == "finished"}
    assert len(done) < 24
    ended_at = {name: (FOLDER / name / "result.json").stat().st_mtime_ns for name in done}
    ended(start("train", "-m", "sweep=s", *command))
    calm, found = results("calm"), results()
    assert len(found) == 24
    assert set(found) == set(calm) == {str(job["name"]) for job in Plan.read(FOLDER).jobs}  # type: ignore[union-attr]
    for name, result in found.items():
        assert result["status"] == "finished"
        assert (result["digest"], result["metrics"]) == (calm[name]["digest"], calm[name]["metrics"])
        lines = map(json.loads, (FOLDER / name / "metrics.jsonl").read_text().splitlines())
        assert [line["step"] for line in lines if "val/loss" in line] == list(range(40, 801, 40)), "nothing is doubled"
    assert ended_at == {name: (FOLDER / name / "result.json").stat().st_mtime_ns for name in done}


def test_gpus_are_shared_out_and_no_job_sees_another_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [slot.gpu for slot in slots_here(None, 1, wants_gpu=True)] == ["3", "5"]
    assert [slot.gpu for slot in slots_here(None, 2, wants_gpu=True)] == ["3", "5", "3", "5"]
    assert [slot.gpu for slot in slots_here(3, 1, wants_gpu=True)] == ["3", "5", "3"]
    assert {slot.gpu for slot in slots_here(None, 1, wants_gpu=False)} == {None}


def test_without_gpus_jobs_share_the_cpus_and_memory_limits_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(slots, "free_memory", lambda: 64.0)
    assert slots_here(None, 1, wants_gpu=True) == [Slot(None, 1)] * 8
    assert slots_here(2, 1, wants_gpu=True) == [Slot(None, 4)] * 2
    monkeypatch.setattr(slots, "free_memory", lambda: 3 * slots.EACH)
    assert slots_here(None, 1, wants_gpu=True) == [Slot(None, 2)] * 3
