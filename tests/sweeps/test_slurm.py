"""Sweeps on Slurm: a real cluster of two nodes, whose jobs, nodes and launchers are lost."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from clusters import SlurmCluster, slurm_cluster  # noqa: F401  a fixture
from small_sweeps import ended, results, start, wait_until, workers

from dlkit.settings import config_folder
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.launchers.slurm.cluster import Slurm
from dlkit.sweeps.launchers.slurm.follow import how
from dlkit.sweeps.launchers.slurm.queue import Queue

FOLDER = Path("outputs/sweeps/s")
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.partition=main")
LONG = ("model=logreg", "data=digits", "callbacks=minimal", "trainer.save_every=0.5")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cluster(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:  # noqa: F811
    for name, value in slurm_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return slurm_cluster


def test_the_options_in_the_file_are_those_of_the_launcher_with_its_defaults() -> None:
    options = yaml.safe_load((config_folder() / "hydra" / "launcher" / "slurm.yaml").read_text())
    del options["_target_"]
    parameters = inspect.signature(Slurm).parameters
    assert options == {name: options[name] if not one.default else one.default for name, one in parameters.items()}


def test_without_slurm_the_answer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"^hydra/launcher=slurm: .*$"):
        Slurm().execute([], Live({}, {}, tmp_path))


@pytest.mark.parametrize(
    ("code", "words"),
    [("0:9", ", ended by SIGKILL"), ("137:0", ", ended by SIGKILL"), ("1:0", ", exit code 1"), ("", "")],
)
def test_what_slurm_says_of_an_exit_is_put_in_words(code: str, words: str) -> None:
    assert how(code) == words


@pytest.mark.slow
def test_what_slurm_refuses_is_answered_in_one_line(cluster: SlurmCluster, tmp_path: Path) -> None:
    queue = Queue(tmp_path / "s", Slurm(partition="none").parameters, 0)
    with pytest.raises(ValueError, match=r"^hydra/launcher=slurm: Slurm refuses the jobs: .*invalid partition.*$"):
        queue.submit({"seed=0": print})


@pytest.mark.slow
def test_a_sweep_finds_its_own_jobs_in_the_queue_whatever_its_launcher_could_note(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    parameters = Slurm().parameters
    Queue(tmp_path / "s", parameters, 0).submit({"seed=0": partial(time.sleep, 99), "seed=1": partial(time.sleep, 99)})
    noted = tmp_path / "s" / "slurm" / "submitted.json"
    noted.write_text(noted.read_text().replace('"id": "', '"lost": "'))
    queue = Queue(tmp_path / "s", parameters, 0)
    assert {name: entry.id.partition("_")[2] for name, entry in queue.look().items()} == {"seed=0": "0", "seed=1": "1"}
    assert Queue(tmp_path / "another", parameters, 0).look() == {}
    wait_until(lambda: {entry.state for entry in queue.look().values()} == {"RUNNING"})
    wait_until(lambda: queue.cancel(queue.look(), "KILL") or not queue.look())
    assert queue.ended("seed=0")[0] in ("CANCELLED", "FAILED")


@pytest.mark.slow
def test_jobs_that_lose_their_node_or_are_preempted_come_back_and_end_as_those_of_the_local_launcher(
    cluster: SlurmCluster,
) -> None:
    words = (*LONG, "seed=0,1", "trainer.max_steps=3000,10")
    process = start("train", "-m", "sweep=s", *words, *ON_SLURM)
    long = ["seed=0,trainer.max_steps=3000", "seed=1,trainer.max_steps=3000"]
    wait_until(lambda: all((FOLDER / name / "checkpoints" / "last.pt").exists() for name in long), 200)
    assert [node(name) for name in long] == ["n1", "n2"]
    cluster.kill_node("n1")
    subprocess.run(["scancel", "--signal=USR2", job_id(long[1])], check=True)
    wait_until(lambda: not workers(FOLDER), 200)
    cluster.start_node("n1")
    out = ended(process)
    ended(start("train", "-m", "sweep=calm", *words))
    calm, found = results("calm"), results()
    assert len(found) == 4
    for name in long:
        assert f"{name}  is in the queue again" in out
        assert (FOLDER / name / "job.log").read_text().count("resume  at step") == 1
    for name, result in found.items():
        assert result["status"] == "finished"
        assert (result["digest"], result["metrics"]) == (calm[name]["digest"], calm[name]["metrics"])
        assert steps("s", name) == steps("calm", name), "nothing is lost, or written twice"


@pytest.mark.slow
def test_a_new_launcher_finds_the_jobs_of_a_killed_one_and_a_killed_job_is_named(cluster: SlurmCluster) -> None:
    short, endless = "trainer.max_steps=1000", "trainer.max_steps=10000000"
    command = ("train", "-m", "sweep=s", *LONG, f"{short},10000000", *ON_SLURM)
    launcher = start(*command)
    wait_until(lambda: (FOLDER / endless / "checkpoints" / "last.pt").exists(), 200)
    launcher.kill()
    launcher.communicate()
    before = job_id(endless)
    launcher = start(*command)
    assert launcher.stdout is not None
    assert any("in the queue already" in line for line in launcher.stdout)
    os.kill(workers(FOLDER)[endless], signal.SIGKILL)
    out = ended(launcher, code=1)
    assert f"{endless}  killed: Slurm says FAILED, ended by SIGKILL" in out
    assert {name: result["status"] for name, result in results().items()} == {short: "finished"}
    assert (job_id(endless), len(lines(endless))) == (before, 1), "it was not submitted twice"

    launcher = start(*command)
    wait_until(lambda: "resume  at step" in (FOLDER / endless / "job.log").read_text(), 200)
    wait_until(lambda: workers(FOLDER))
    launcher.send_signal(signal.SIGINT)
    ended(launcher, code=130)
    assert results()[endless]["status"] == "interrupted"
    assert cluster.command("squeue", "--noheader") == ""


def steps(sweep: str, name: str) -> list[int]:
    """Those of the lines of metrics.jsonl."""
    text = Path("outputs/sweeps", sweep, name, "metrics.jsonl").read_text()
    return [json.loads(line)["step"] for line in text.splitlines()]


def node(name: str) -> str:
    """Where the last attempt of a job ran."""
    return lines(name)[-1].split()[-1]


def job_id(name: str) -> str:
    return lines(name)[-1].split()[2]


def lines(name: str) -> list[str]:
    """What the attempts of a job begin with: slurm: job 1_0 on n1."""
    log = (FOLDER / name / "job.log").read_text()
    return [line for line in log.splitlines() if line.startswith("slurm: job ")]


def test_a_machine_without_slurm_is_told_so_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    out = ended(start("train", "-m", "hydra/launcher=slurm", "data=iris", "seed=0,1"), code=2)
    assert out.endswith("start the sweep where they are\n") or out.endswith("pip install 'dlkit[slurm]'\n")
    assert list(tmp_path.iterdir()) == []
