"""A run as a user sees it: its folder, its files, its exit codes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlkit.cli import train
from dlkit.rundir import load

FILES = {"config.yaml", "env.json", "train.log", "metrics.jsonl", "result.json", "checkpoints"}


def run(*args: str) -> int:
    """The exit code of `dlkit train` with these arguments, in this process."""
    with pytest.raises(SystemExit) as caught:
        train.main(list(args))
    return int(caught.value.code or 0)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    return tmp_path


def result(folder: str = "r") -> dict[str, Any]:
    return json.loads((Path(folder) / "result.json").read_text())


def test_the_default_run_reaches_96_percent_on_the_test_digits() -> None:
    assert run("run_dir=r") == 0
    assert result()["metrics"]["test/accuracy"] >= 0.96
    assert result()["status"] == "finished"


def test_a_run_writes_one_folder_with_the_files_it_promises() -> None:
    assert run("trainer.max_steps=3") == 0
    assert [path.name for path in Path.cwd().iterdir()] == ["outputs"]
    (folder,) = Path("outputs").glob("*/*")
    assert folder.name.endswith("-mlp-digits")
    names = {path.name for path in folder.iterdir()}
    assert {name for name in names if not name.startswith("events.out.tfevents")} == FILES
    assert len(names) == len(FILES) + 1
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"last.pt", "best.pt"}


def test_two_runs_of_one_second_get_two_folders() -> None:
    for _ in range(3):
        assert run("trainer.max_steps=1", "callbacks=minimal") == 0
    assert len(list(Path("outputs").glob("*/*/result.json"))) == 3


def test_the_result_says_what_happened_and_what_it_cost() -> None:
    run("run_dir=r", "trainer.epochs=2", "seed=7", "name=first", "tags=[a,b]")
    got = result()
    assert (got["step"], got["epoch"], got["seed"], got["name"], got["tags"]) == (80, 2.0, 7, "first", ["a", "b"])
    assert got["parameters"] == 64 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
    assert set(got["metrics"]) == {
        f"{split}/{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    assert got["samples_per_second"] == pytest.approx(80 * 32 / got["seconds"], rel=1e-3)
    assert got["best"]["metric"] == "val/loss"
    assert got["best"]["step"] in (40, 80)


def test_the_saved_config_is_resolved_and_runs_again() -> None:
    run("run_dir=r", "trainer.max_steps=3", "optim.lr=0.02")
    saved = OmegaConf.load("r/config.yaml")
    assert saved.optim.lr == 0.02
    assert "${" not in Path("r/config.yaml").read_text()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(f"run_dir={name}", f"seed={seed}", "trainer.max_steps=20", "model.dropout=0.3")
    a, b, c = (load(Path(name) / "checkpoints" / "last.pt")["model"] for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["1.weight"], c["1.weight"])


def test_metrics_lines_and_tensorboard_tell_the_same() -> None:
    run("run_dir=r", "trainer.epochs=2", "trainer.log_every=10")
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert all("train/grad_norm" in line for line in lines if "train/loss" in line)
    assert [line["step"] for line in lines if "val/loss" in line] == [40, 80]
    events = EventAccumulator("r")
    events.Reload()
    for name in ("train/loss", "lr", "samples_per_second", "val/accuracy"):
        from_lines = [(line["step"], line[name]) for line in lines if name in line]
        from_events = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in from_lines] == [step for step, _ in from_events]
        assert [value for _, value in from_lines] == pytest.approx([value for _, value in from_events], rel=1e-6)
    assert events.Scalars("test/accuracy")[-1].value == pytest.approx(result()["metrics"]["test/accuracy"])


def test_the_log_holds_what_was_shown() -> None:
    run("run_dir=r", "trainer.epochs=2")
    text = Path("r/train.log").read_text()
    for piece in ("10 classes", "Linear", "50,826", "epoch 1", "val/accuracy", "finished after 80 steps"):
        assert piece in text


def test_the_environment_records_versions_arguments_and_data() -> None:
    run("run_dir=r", "trainer.max_steps=1")
    run("run_dir=s", "trainer.max_steps=1", "data.split_seed=1")
    env, other = (json.loads(Path(f"{name}/env.json").read_text()) for name in "rs")
    assert env["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert "trainer.max_steps=1" in env["arguments"]
    assert env["data"] == other["data"]
    assert len(env["data"]) >= 16


def test_a_diverging_run_fails_with_its_step_and_keeps_finite_weights() -> None:
    assert run("run_dir=r", "optim=sgd", "optim.lr=1e30", "trainer.epochs=2") == 1
    assert result()["status"] == "failed"
    assert "not finite at step" in result()["reason"]
    weights = load(Path("r/checkpoints/last.pt"))["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_diverging_run_without_the_guard_goes_on() -> None:
    assert run("run_dir=r", "optim=sgd", "optim.lr=1e30", "trainer.max_steps=10", "trainer.nan_guard=false") == 0
    assert result()["metrics"]["train/loss"] is None


def test_early_stopping_says_why() -> None:
    assert run("run_dir=r", "callbacks.early_stop.patience=1", "callbacks.early_stop.min_delta=10") == 0
    assert result()["status"] == "stopped"
    assert "val/loss did not improve in 1 evaluations" in result()["reason"]
    assert result()["step"] == 80


def test_a_time_limit_stops_the_run() -> None:
    assert run("run_dir=r", "trainer.max_time=0.005", "callbacks=minimal") == 0
    assert result()["status"] == "stopped"
    assert "time limit" in result()["reason"]


def test_a_dry_run_shows_shapes_and_cost_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dry_run=true", "model=cnn") == 0
    shown = capsys.readouterr().out
    for piece in ("Conv2d", "32 x 1 x 8 x 8", "operations", "nothing was written"):
        assert piece in shown
    assert list(Path.cwd().iterdir()) == []


def test_full_batch_means_one_step_an_epoch() -> None:
    assert run("run_dir=r", "data.batch_size=full", "trainer.epochs=3") == 0
    assert result()["step"] == 3


def test_overfitting_one_batch_reaches_perfect_training_accuracy() -> None:
    assert run("run_dir=r", "trainer.overfit_batches=1", "trainer.max_steps=100") == 0
    assert result()["metrics"]["train/accuracy"] == 1.0


def test_without_a_validation_split_there_is_no_best() -> None:
    assert run("run_dir=r", "data.val_fraction=0", "trainer.max_steps=5") == 0
    assert result()["best"] == {}
    assert set(result()["metrics"]) == {"train/loss", "train/accuracy", "test/loss", "test/accuracy"}


@pytest.mark.parametrize("option", ["trainer.dtype=bfloat16", "trainer.dtype=float16", "trainer.accumulate=4",
                                    "trainer.ema=0.9", "trainer.deterministic=true", "trainer.limit_batches=3",
                                    "trainer.threads=1", "callbacks.grad_clip.max_norm=0.1"])  # fmt: skip
def test_trainer_options_train_finite_models(option: str) -> None:
    assert run("run_dir=r", option, "model=cnn", "trainer.max_steps=10", "data.augment.shift=0.1") == 0
    assert math.isfinite(result()["metrics"]["test/loss"])


def test_a_folder_that_holds_a_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run("run_dir=r", "trainer.max_steps=1")
    before = Path("r/result.json").read_text()
    assert run("run_dir=r", "trainer.max_steps=1") == 2
    assert "run_dir=r" in capsys.readouterr().err
    assert Path("r/result.json").read_text() == before


def test_an_error_in_user_code_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("def model(spec, outputs):\n    raise KeyError('my own mistake')\n")
    assert run("model._target_=mine.model", "model=logreg") == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "my own mistake" in shown
    assert not Path("outputs").exists()


def test_an_error_in_user_code_while_training_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    Path("watcher.py").write_text(
        "from dlkit.callbacks.base import Callback\n"
        "class Bad(Callback):\n"
        "    def on_step(self, state):\n"
        "        if state.step == 3: raise RuntimeError('too much')\n"
    )
    assert run("run_dir=r", "+callbacks.bad._target_=watcher.Bad") == 1
    assert "too much" in capsys.readouterr().err
    assert (result()["status"], result()["step"]) == ("failed", 3)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_ends_the_run_after_the_step_with_everything_saved(number: int, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dlkit", "train", "run_dir=r", "trainer.epochs=100000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ)
    metrics = Path("r/metrics.jsonl")
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert result()["status"] == "interrupted"
    assert load(Path("r/checkpoints/last.pt"))["step"] == result()["step"]


def test_the_gradient_norm_is_logged_as_it_was_before_clipping() -> None:
    run("run_dir=r", "trainer.max_steps=3", "trainer.log_every=1", "callbacks.grad_clip.max_norm=0.001")
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert all(line["train/grad_norm"] > 0.1 for line in lines if "train/loss" in line)


def test_a_log_comes_with_every_evaluation() -> None:
    run("run_dir=r", "trainer.epochs=3")
    lines = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == [40, 50, 80, 100, 120]


HYDRAS_OWN = ("-m", "hydra/launcher=basic", "hydra/sweeper=basic")


def test_a_signal_ends_the_whole_sweep_of_hydras_own_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlkit.callbacks.record import Record

    def on_step(callback: Record, state: Any) -> None:
        state.signal, state.stop = signal.SIGINT, "SIGINT"

    monkeypatch.setattr(Record, "on_step", on_step)
    assert run(*HYDRAS_OWN, "seed=0,1,2") == 130
    assert len(list(Path("outputs").rglob("result.json"))) == 1


def test_a_class_that_is_no_callback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("duck.py").write_text("class Duck:\n    def on_step(self, state): pass\n")
    assert run("+callbacks.mine._target_=duck.Duck") == 2
    assert "callbacks.mine: Duck is no callback" in capsys.readouterr().err
    assert not Path("outputs").exists()
