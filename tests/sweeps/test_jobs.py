"""What a job's folder says, and when the work on it does not begin."""

from __future__ import annotations

import json
import signal
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlkit.rundir import locked
from dlkit.sweeps.jobs import Job, Outcome, known, settled
from dlkit.sweeps.launchers import processes
from dlkit.sweeps.launchers.backlog import Backlog
from dlkit.sweeps.launchers.local import Running, ended
from dlkit.sweeps.launchers.slots import Slot
from dlkit.sweeps.launchers.work import work


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "seed=0"
    folder.mkdir()
    return Job("seed=0", ("seed=0",), {"seed": 0}, {}, str(folder), str(tmp_path))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"status":', '{"reason": "?"}'])
def test_a_damaged_result_is_none(job: Job, content: str) -> None:
    (Path(job.folder) / "result.json").write_text(content)
    assert known(job) is None


def test_what_ended_the_job_is_read_from_its_folder(job: Job) -> None:
    (Path(job.folder) / "result.json").write_text('{"status": "stopped", "reason": "r", "best": {"value": 0.5}}')
    assert known(job) == Outcome("seed=0", "stopped", "r", 0.5)


@pytest.mark.parametrize(
    ("status", "rerun_failed", "is_settled"),
    [("finished", True, True), ("stopped", True, True), ("failed", False, True), ("failed", True, False)]
    + [(status, False, False) for status in ("interrupted", "killed")],
)
def test_what_ended_before_is_not_run_again_but_for_failures_if_asked(
    job: Job, status: str, rerun_failed: bool, is_settled: bool
) -> None:
    assert settled(job, rerun_failed) is None, "it was never begun"
    (Path(job.folder) / "result.json").write_text(json.dumps({"status": status}))
    assert settled(job, rerun_failed) == (Outcome("seed=0", status) if is_settled else None)


def test_jobs_are_told_of_the_first_two_signals_each_once() -> None:
    stop = processes.Stop()
    assert stop.due() == 0
    stop.asked = 1
    assert [stop.due(), stop.due()] == [1, 0]
    stop.asked = 5
    assert [stop.due(), stop.due()] == [2, 0]


def test_a_job_whose_folder_an_earlier_attempt_still_holds_is_left_alone(job: Job) -> None:
    with locked(Path(job.folder)):
        outcome = work(job, 1, patience=0)
    assert outcome.status == "killed" and "is still locked by an earlier attempt" in outcome.reason
    assert list(Path(job.folder).iterdir()) == []  # nothing is said to have failed there


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("asked", "status"), [(True, "interrupted"), (False, "killed")])
def test_a_process_that_a_signal_ended_was_interrupted_where_the_user_asked_for_it(
    job: Job, number: int, asked: bool, status: str
) -> None:
    here, there = Pipe(duplex=False)
    there.close()
    process: Any = SimpleNamespace(join=lambda: None, exitcode=-number)
    assert ended(Running(job, Slot(None, 1), process, here), asked=asked).status == status


def test_ctrl_c_is_blocked_where_jobs_come_from_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = []
    begin = lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))  # noqa: E731
    monkeypatch.setattr(processes.forkserver, "ensure_running", begin)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    processes.server()
    assert masks == [before | {signal.SIGINT}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_job_is_begun_again_so_often_as_asked_and_not_once_the_sweep_is_ended(job: Job) -> None:
    killed = Outcome("seed=0", "killed")
    backlog = Backlog([job], None, retries=2, again=("killed",))
    for _ in range(3):
        assert backlog.next() is job
        backlog.end(job, killed, last=False)
    assert backlog.next() is None and backlog.outcomes == [killed]
    backlog = Backlog([job, job], None, retries=2, again=("killed",))
    assert backlog.next() is job
    backlog.end(job, Outcome("seed=0", "interrupted"), last=True)
    assert [outcome.status for outcome in backlog.outcomes] == ["interrupted"] * 2
    assert [outcome.status for outcome in Backlog([job], None, 0, ()).outcomes] == ["waiting"]
