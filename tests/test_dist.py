"""Several processes train one model to the same end as one does, and end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parallel_runs
import pytest
import torch

from dlkit import dist, library
from dlkit.rundir import load

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
HERE = Path(__file__).parent
pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=13 leaves")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files that the runs read, in which two processes have made the quick ones."""
    folder, before = tmp_path_factory.mktemp("dist"), Path.cwd()
    os.chdir(folder)
    parallel_runs.write_files()
    in_two(*parallel_runs.QUICK, *parallel_runs.ENDS, *parallel_runs.MISTAKES)
    yield folder
    os.chdir(before)


def in_two(*names: str) -> None:
    """Makes these runs with two processes. What they wrote is judged, for gloo sometimes aborts at exit."""
    command = [*TORCHRUN, str(HERE / "parallel_runs.py"), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert Path("done-0").exists() and Path("done-1").exists(), done.stdout + done.stderr
    Path("done-0").unlink()


def result(folder: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
    return content


def lines(folder: str) -> list[dict[str, Any]]:
    """What metrics.jsonl says, without what depends on the machine's speed."""
    rows = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in rows]


def weights(folder: str) -> dict[str, torch.Tensor]:
    content: dict[str, torch.Tensor] = load(Path(folder, "checkpoints", "last.pt"))["model"]
    return content


def assert_as_one(name: str) -> None:
    """The run came to the same end as that of a single process: weights, every logged figure, the final ones."""
    parallel_runs.train("one", name)
    ours, theirs = weights(f"two/{name}"), weights(f"one/{name}")
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-3, atol=1e-5)
    for row, other in zip(lines(f"two/{name}"), lines(f"one/{name}"), strict=True):
        if name == "in_parts":  # it is that of the last part
            row.pop("train/accuracy", None), other.pop("train/accuracy", None)
        assert row == pytest.approx(other, rel=1e-3, abs=1e-5)
    one, two = result(f"one/{name}"), result(f"two/{name}")
    assert [two[key] for key in ("status", "reason", "weights", "step")] == [
        one[key] for key in ("status", "reason", "weights", "step")
    ]
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-3, abs=1e-5)
    assert two["best"].get("step") == one["best"].get("step")
    assert two["best"].get("metrics", {}) == pytest.approx(one["best"].get("metrics", {}), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", parallel_runs.QUICK)
def test_two_processes_come_to_the_same_end_as_one(room: Path, name: str) -> None:
    assert_as_one(name)


@pytest.mark.slow
def test_two_processes_come_to_the_same_end_as_one_in_every_other_way(room: Path) -> None:
    in_two(*parallel_runs.SLOW, *parallel_runs.TIMED)
    for name in parallel_runs.SLOW:
        assert_as_one(name)
    assert result("two/timed")["reason"].startswith("the time limit")
    assert len(list(Path("two/average").glob("events.out.tfevents.*"))) == 1


def test_there_is_one_folder_which_says_how_many_processes_there_were(room: Path) -> None:
    made = {path.name for path in Path("two").iterdir()}
    assert made - {*parallel_runs.SLOW, *parallel_runs.TIMED} == {*parallel_runs.QUICK, *parallel_runs.ENDS, "left"}
    files = sorted(path.name for path in Path("two/in_parts").iterdir())
    assert files == ["checkpoints", "config.yaml", "env.json", "metrics.jsonl", "result.json", "train.log"]
    assert sorted(path.name for path in Path("two/in_parts/checkpoints").iterdir()) == ["best.pt", "last.pt"]
    assert json.loads(Path("two/in_parts/env.json").read_text())["processes"] == 2
    log = Path("two/in_parts/train.log").read_text()
    assert log.count("one of 2 processes") == log.count("finished after") == 1


def test_a_signal_that_one_process_gets_ends_both_saved_once_at_the_same_step(room: Path) -> None:
    left = result("two/left")
    assert (left["status"], left["signal"]) == ("interrupted", signal.SIGINT)
    assert 11 <= left["step"] < 32
    assert load(Path("two/left/checkpoints/last.pt"))["step"] == left["step"]


def test_a_run_that_goes_on_comes_to_the_bits_of_an_unbroken_one(room: Path) -> None:
    assert result("two/interrupted")["digest"] == result("two/unbroken")["digest"]
    assert lines("two/interrupted") == lines("two/unbroken")


def test_a_single_process_can_go_on_with_it(room: Path) -> None:
    run = library.train(["--trust", "resume=two/left"])
    assert (run.result["status"], run.result["step"]) == ("finished", 32)


def test_processes_drop_units_of_their_own(room: Path) -> None:
    states = load(Path("two/unbroken/checkpoints/last.pt"))["parts"]["randomness"]["states"]
    assert len(states) == 2
    assert not torch.equal(states[0]["torch"], states[1]["torch"])


def test_all_stop_where_one_callback_wants_to(room: Path) -> None:
    ended = result("two/asked")
    assert (ended["status"], ended["reason"]) == ("stopped", "the second process is tired")
    assert 11 <= ended["step"] < 8000
    assert set(ended["metrics"]) >= {"train/loss", "val/loss", "test/loss"}


def test_a_loss_that_is_not_finite_ends_all_with_the_last_good_weights(room: Path) -> None:
    ended = result("two/diverged")
    assert ended["status"] == "failed" and ended["reason"].startswith("the loss is not finite")
    assert all(tensor.isfinite().all() for tensor in weights("two/diverged").values())


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("typed", "optim.lr=abc: must be a number greater than 0"),
        ("data", "data.root=nowhere: no such folder"),
        ("small", "data.batch_size=1: is cut for 2 processes, trainer.accumulate=1 parts each; expected 2 or more"),
        ("sweep", "-m: a sweep begins processes of its own; leave out torchrun, or train one model with it"),
        ("taken", "run_dir=two/images: there is a run already; go on with resume=two/images, or take another folder"),
    ],
)
def test_a_mistake_is_told_once_and_ends_all_with_2(room: Path, name: str, line: str) -> None:
    assert Path(f"said-{name}-0").read_text() == f"2 {line}\n"
    assert Path(f"said-{name}-1").read_text() == "2 "


@pytest.mark.slow
def test_ctrl_c_at_torchrun_saves_and_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [
        *TORCHRUN,
        "-m",
        "dlkit",
        "train",
        "data=iris",
        "trainer.epochs=1e6",
        "run_dir=run",
        "trainer.save_every=0.5",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for(Path("run/checkpoints/last.pt"))
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert result("run")["status"] == "interrupted"
    assert load(Path("run/checkpoints/last.pt"))["step"] == result("run")["step"]


@pytest.mark.slow
def test_where_a_process_is_killed_torchrun_begins_again_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("killed.py").write_text(KILLED)
    options = ["data=iris", "trainer.epochs=300", "run_dir=run", "resume=auto", "trainer.save_every=0.1"]
    subprocess.run([*TORCHRUN, "--max-restarts=1", "killed.py", *options], capture_output=True, timeout=300)
    assert (result("run")["status"], result("run")["epoch"]) == ("finished", 300)
    assert json.loads(Path("run/env.json").read_text())["resumed"][0]["step"] > 0


KILLED = """
import os, threading, time
from pathlib import Path
def kill():
    while not Path("run/checkpoints/last.pt").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and os.environ["RANK"] == "1":
    threading.Thread(target=kill, daemon=True).start()
from dlkit.cli.train import main
main()
"""


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # some clusters set it for their own ends
    assert (dist.world(), dist.rank(), dist.local_rank()) == (1, 0, 0)
    assert (dist.tell("a"), dist.gather("a"), dist.most(3, 4)) == ("a", ["a"], [3, 4])
    dist.join()
    assert not torch.distributed.is_initialized()


def test_what_failed_within_is_told_once_and_by_who_met_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "world", lambda: 2)
    for number, raised in ((0, dist.Elsewhere), (1, ValueError)):
        monkeypatch.setattr(dist, "rank", lambda number=number: number)
        monkeypatch.setattr(dist, "gather", lambda fails, number=number: [False, fails or number == 0])
        with pytest.raises(raised), dist.together(), dist.together():  # process 1 fails in the inner one
            if number == 1:
                raise ValueError("no such GPU")
        assert dist._failed
    monkeypatch.setattr(dist, "_failed", False)
