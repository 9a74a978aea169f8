"""Sweeps on a Ray cluster: a real one of two machines, both on this host."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'dlkit[ray]'"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="ends nodes by what /proc says"),
]
PATIENCE = 240.0  # seconds for what takes 10 on a machine that has nothing else to do
ASIDE = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid4().hex, "RAY_USAGE_STATS_ENABLED": "0"}  # nobody else joins
QUICK = ASIDE | {  # a dead node is noticed in 2 seconds
    f"RAY_health_check_{key}": value
    for key, value in {"period_ms": "500", "timeout_ms": "1000", "failure_threshold": "3"}.items()
}
MINE = """
from pathlib import Path
from time import sleep

from dlkit.callbacks.base import Callback


class Gate(Callback):
    '''Fails in the job seed=4; holds all others after three epochs, until a file `open` is there.'''

    def on_start(self, state):
        if state.folder.name == "seed=4":
            raise RuntimeError("four is too many")

    def on_eval(self, state, figures):
        if state.epoch >= 3:
            (state.folder / "held").touch()
            while not Path("open").exists() and not state.signal:
                sleep(0.05)
"""


class Cluster:
    """Machines are processes in a session of their own, so that each can die alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # of a short path: Ray makes sockets below it
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.machines: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        port = self.address.rpartition(":")[2]
        self._start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.folder}/r")
        self._start(f"--address={self.address}")

    def _start(self, *options: str) -> None:
        log = self.folder / f"{len(options)}.log"
        size = ["--num-cpus=2", "--num-gpus=0", "--object-store-memory=80000000"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address=127.0.0.1"]
        with log.open("w") as file:
            started = subprocess.Popen(
                [*command, *size, *options], stdout=file, stderr=file, env=os.environ | QUICK, start_new_session=True
            )
        self.machines.append(started)
        wait_until(lambda: "Ray runtime started" in log.read_text() or started.poll() is not None)
        assert started.poll() is None, log.read_text()

    def kill(self, machine: subprocess.Popen[bytes]) -> None:
        for process in session(machine.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        machine.wait()


def session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for process in (int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit()):
        with suppress(ProcessLookupError):
            if os.getsid(process) == leader:
                found.append(process)
    return found


def wait_until(true: Callable[[], bool]) -> None:
    until = monotonic() + PATIENCE
    while not true():
        assert monotonic() < until, "waited in vain"
        sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    cluster = Cluster(folder)
    try:
        cluster.begin()
        yield cluster
    finally:
        for machine in cluster.machines:
            cluster.kill(machine)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sweeps are started: a folder with code of one's own."""
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "mine.py").write_text(MINE)
    return folder


def sweep(place: Path, name: str, *options: str) -> subprocess.Popen[str]:
    """Starts a sweep over seeds."""
    task = ["data=iris", "callbacks=minimal", "model=mlp", "trainer.epochs=6", "trainer.save_every=0.01"]
    gate = "+callbacks.gate._target_=mine.Gate"
    return subprocess.Popen(
        [sys.executable, "-m", "dlkit", "train", "-m", *task, gate, *options, f"sweep={name}"],
        cwd=place,
        env=os.environ | QUICK,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(started: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was printed."""
    try:
        printed, _ = started.communicate(timeout=PATIENCE)
    finally:
        started.kill()
    return started.returncode, printed


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> dict[str, Any]:
    """Results of the same jobs by the local launcher, by job."""
    (place / "open").touch()
    code, printed = ended(sweep(place, "here", "seed=0,1,2"))
    assert code == 0, printed
    return results(place, "here")


def results(place: Path, name: str) -> dict[str, Any]:
    """What of the result of each job is no matter of time."""
    kept = ("status", "step", "digest", "metrics", "best")
    files = place.glob(f"outputs/sweeps/{name}/*/result.json")
    read = {path.parent.name: json.loads(path.read_text()) for path in files}
    return {job: {key: result.get(key) for key in kept} for job, result in read.items()}


def held(place: Path, name: str) -> dict[str, int]:
    """The jobs that wait at the gate, and the process of each."""
    logs = [path.with_name("job.log") for path in place.glob(f"outputs/sweeps/{name}/*/held")]
    return {log.parent.name: int(re.findall(r"process (\d+)", log.read_text())[-1]) for log in logs}


def steps_once(place: Path, name: str) -> bool:
    """Whether each evaluation of each finished job is noted exactly once, in order."""
    for path in place.glob(f"outputs/sweeps/{name}/seed=[0-2]/metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [row["step"] for row in rows if "val/loss" in row]
        if steps != sorted(set(steps)) or len(steps) < 6:
            return False
    return True


def on_ray(cluster: Cluster) -> list[str]:
    return ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}"]


def test_an_interrupted_sweep_goes_on_to_the_results_of_the_local_launcher_and_a_job_that_raises_fails_alone(
    cluster: Cluster, place: Path, undisturbed: dict[str, Any]
) -> None:
    (place / "open").unlink(missing_ok=True)
    first = sweep(place, "calm", *on_ray(cluster), "seed=4,0,1,2")
    wait_until(lambda: len(held(place, "calm")) == 3 or first.poll() is not None)
    machines = {os.getsid(process) for process in held(place, "calm").values()}
    first.send_signal(signal.SIGINT)
    code, printed = ended(first)
    assert code == 130, printed
    assert machines == {machine.pid for machine in cluster.machines}
    assert {one["status"] for job, one in results(place, "calm").items() if job != "seed=4"} == {"interrupted"}
    (place / "open").touch()
    code, printed = ended(sweep(place, "calm", *on_ray(cluster), "seed=4,0,1,2"))
    assert code == 1, printed
    found = results(place, "calm")
    assert found.pop("seed=4")["status"] == "failed"
    assert (place / "outputs/sweeps/calm/seed=4/job.log").read_text().count("RuntimeError: four") == 1  # not retried
    assert found == undisturbed
    assert steps_once(place, "calm")


def test_jobs_whose_process_or_machine_dies_go_on_elsewhere_to_the_same_results(
    cluster: Cluster, place: Path, undisturbed: dict[str, Any]
) -> None:
    (place / "open").unlink(missing_ok=True)
    started = sweep(place, "struck", *on_ray(cluster), "seed=0,1,2")
    wait_until(lambda: len(held(place, "struck")) == 3 or started.poll() is not None)
    other = cluster.machines[1]
    jobs = held(place, "struck")
    elsewhere = {job for job, process in jobs.items() if os.getsid(process) == other.pid}
    struck = {*elsewhere, next(job for job in jobs if job not in elsewhere)}
    os.kill(jobs[(struck - elsewhere).pop()], signal.SIGKILL)
    cluster.kill(other)
    (place / "open").touch()
    code, printed = ended(started)
    assert code == 0, printed
    assert printed.count("  killed: ") == len(struck)
    assert results(place, "struck") == undisturbed
    assert steps_once(place, "struck")
    env = {job: json.loads((place / f"outputs/sweeps/struck/{job}/env.json").read_text()) for job in jobs}
    assert {job for job in jobs if env[job].get("resumed")} == struck
