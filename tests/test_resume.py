"""Killed anywhere, a run ends with the same bits."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlkit.cli import train
from dlkit.rundir import load

MLP = ["model.dropout=0.3", "callbacks.early_stop.patience=8"]
CNN = ["model=cnn", "model.batch_norm=true", "model.dropout=0.2", "data.augment.shift=0.1", "data.augment.flip=0.5",
       "trainer.ema=0.98", "trainer.accumulate=2", "scheduler=cosine", "scheduler.warmup_steps=0.1",
       "optim=momentum", "trainer.eval_every=17"]  # fmt: skip
SHORT = ["trainer.epochs=6", "trainer.log_every=7"]
SHORTER = ["trainer.epochs=3", "trainer.log_every=7"]

# Dies in the middle of writing its checkpoint number `at`.
DIES_WHILE_SAVING = """
import os, signal, sys, torch
at, count, save = int(sys.argv[1]), 0, torch.save
def dying(content, path):
    global count
    count += 1
    save(content, path)
    if count == at:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = dying
from dlkit.cli.train import main
main(sys.argv[2:])
"""


def run(*args: str) -> int:
    """The exit code of `dlkit train` with these arguments, in this process."""
    try:
        train.main(list(args))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    return tmp_path


def lines(folder: str) -> list[dict[str, Any]]:
    """What metrics.jsonl says, without what depends on the machine's speed."""
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in rows]


def result(folder: str) -> dict[str, Any]:
    return json.loads((Path(folder) / "result.json").read_text())


def assert_same_bits(a: str, b: str) -> None:
    """Weights, averages, moments, best checkpoint, metrics and decisions of two folders are equal."""
    for name in ("last.pt", "best.pt"):
        ours, theirs = (load(Path(folder) / "checkpoints" / name) for folder in (a, b))
        for part in ("seconds",):
            ours.pop(part, None), theirs.pop(part, None)
        assert_equal(ours, theirs, name)
    assert lines(a) == lines(b)
    for key in ("status", "reason", "step", "metrics", "best", "weights", "digest"):
        assert result(a)[key] == result(b)[key]


def assert_equal(a: Any, b: Any, where: str) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_equal(one, other, f"{where}/{i}")
    else:
        assert a == b, where


class StopAt:
    """Patches a run so that it is interrupted after a given step, as by a signal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int):
        from dlkit.callbacks.record import Record

        def on_step(callback: Record, state: Any) -> None:
            if state.step == step:
                state.signal, state.stop = signal.SIGTERM, "SIGTERM"

        monkeypatch.setattr(Record, "on_step", on_step)


@pytest.mark.parametrize("options", [MLP, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("step", [1, 41, pytest.param(100, marks=pytest.mark.slow)])
def test_a_run_that_is_interrupted_and_resumed_ends_with_the_same_bits(
    options: list[str], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("run_dir=whole", *SHORTER, *options) == 0
    with monkeypatch.context() as patch:
        StopAt(patch, step)
        assert run("run_dir=parts", *SHORTER, *options) == 143
    assert load(Path("parts/checkpoints/last.pt"))["step"] == step
    assert run("resume=parts") == 0
    assert_same_bits("whole", "parts")


def launch(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(lines_more: int, *args: str) -> None:
    """Starts the run and kills it when it has written so many more lines of metrics."""
    process = launch("-m", "dlkit", "train", *args)
    path, before = Path("killed/metrics.jsonl"), 0
    while process.poll() is None:
        now = count_lines(path)
        before = min(before, now) if before else now  # a resume cuts the file back first
        if now >= before + lines_more:
            process.kill()
        time.sleep(0.002)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("options", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_run_killed_five_times_and_in_two_writes_ends_with_the_same_bits(options: list[str]) -> None:
    long = ["trainer.epochs=40", "trainer.log_every=7", "trainer.save_every=0.05", *options]
    assert run("run_dir=whole", *long) == 0
    again = ["run_dir=killed", "resume=auto", *long]
    Path("dies.py").write_text(DIES_WHILE_SAVING)
    for at in (2, 3):
        process = launch("dies.py", str(at), *again)
        assert process.wait() == -signal.SIGKILL
    generator = random.Random(0)
    for _ in range(5):
        kill_after(generator.randrange(3, 40), *again)
    assert run(*again) == 0
    assert_same_bits("whole", "killed")
    assert_series_are_whole("killed")


def assert_series_are_whole(folder: str) -> None:
    """Every series of TensorBoard has the steps of metrics.jsonl, each once."""
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    rows = lines(folder)
    for name in ("train/loss", "lr", "val/loss"):
        steps = [event.step for event in events.Scalars(name)]
        assert steps == [row["step"] for row in rows if name in row], name


def test_tensorboard_has_each_step_once_after_three_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for i, step in enumerate((9, 50, 51)):
        with monkeypatch.context() as patch:
            StopAt(patch, step)
            assert run(*(["run_dir=r", *SHORT] if i == 0 else ["resume=r"])) == 143
    assert run("resume=r") == 0
    assert_series_are_whole("r")


def test_a_run_resumed_within_a_second_is_read_after_what_it_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        StopAt(patch, 50)
        assert run("run_dir=r", *SHORT) == 143
    (first,) = Path("r").glob("events.out.tfevents.*")
    parts = first.name.split(".")
    later = str(int(time.time()) + 1)  # as if made just now, by a process whose number sorts last
    first.rename(first.with_name(".".join([*parts[:3], later, *parts[4:5], "99999999", "0"])))
    assert run("resume=r") == 0
    assert_series_are_whole("r")


def test_auto_starts_goes_on_and_then_has_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["run_dir=r", "resume=auto", *SHORT]
    with monkeypatch.context() as patch:
        StopAt(patch, 30)
        assert run(*line) == 143
    assert run(*line) == 0
    assert result("r")["step"] == 240
    capsys.readouterr()
    assert run(*line) == 0
    assert "finished already, at step 240" in capsys.readouterr().out
    assert len(json.loads(Path("r/env.json").read_text())["resumed"]) == 1


def test_auto_refuses_another_config_and_names_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run_dir=r", "resume=auto", *SHORT) == 0
    assert run("run_dir=r", "resume=auto", *SHORT, "optim.lr=0.5", "model.hidden=[8]") == 2
    shown = capsys.readouterr().err
    assert "model.hidden ([256, 128] there, [8] here)" in shown
    assert "optim.lr (0.001 there, 0.5 here)" in shown


def test_auto_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("resume=auto") == 2
    assert "run_dir=DIR" in capsys.readouterr().err


def test_auto_starts_anew_where_nothing_was_saved() -> None:
    Path("r").mkdir()
    Path("r/config.yaml").write_text("x: 1")
    Path("r/metrics.jsonl").write_text('{"step": 7}\n{"step"')
    assert run("run_dir=r", "resume=auto", *SHORT) == 0
    assert run("run_dir=fresh", *SHORT) == 0
    assert_same_bits("r", "fresh")


def test_a_finished_run_is_prolonged_with_the_schedule_over_its_new_length(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run_dir=r", "scheduler=cosine", "trainer.epochs=2") == 0
    assert run("resume=r", "trainer.epochs=4") == 0
    assert result("r")["step"] == 160
    shown = capsys.readouterr().out
    assert "resume  at step 80; 80 steps were planned" in shown
    assert "to 0.0005" in shown  # half way down a cosine over 160 steps
    assert [row["step"] for row in lines("r") if "val/loss" in row] == [40, 80, 120, 160]


def test_a_changed_rate_holds_after_the_resume() -> None:
    assert run("run_dir=r", "trainer.epochs=1") == 0
    assert run("resume=r", "trainer.epochs=2", "optim.lr=0.005") == 0
    assert lines("r")[-2]["lr"] == 0.005


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three steps."""
    folder = tmp_path_factory.mktemp("ended") / "r"
    assert run(f"run_dir={folder}", "trainer.max_steps=3") == 0
    return folder


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["resume=nowhere"], "resume=nowhere: there is no run"),
        (["resume=r", "optim.lrr=1"], "did you mean optim.lr?"),
        (["resume=r", "trainer.epochs=0"], "trainer.epochs=0: must be greater than 0"),
        (["resume=r", "trainer.max_steps=5", "model.hidden=[3]"], "does not fit"),
        (["resume=r", "-m", "seed=0,1"], "leave out -m"),
        (["-m", "run_dir=x", "seed=0,1"], "run_dir and resume are for one run"),
        (["resume=r", "run_dir=x"], "run_dir=x: a run that goes on keeps this"),
        (["resume=r", "model=cnn"], "for another run with its weights: init_from=r"),
        (["resume=r", "--cfg", "job"], "leave out --cfg"),
        (["resume=r", "trainer.max_steps=2"], "3 steps are made already, more than the 2 now asked for"),
        (["run_dir=''"], "run_dir=: is empty"),
        (["run_dir=r/result.json"], "is a file; name a folder"),
        (["name=a/b"], "cannot hold /"),
    ],
)
def test_a_resume_that_cannot_be_is_refused(
    args: list[str], words: str, ended: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ended, "r")
    before = Path("r/result.json").read_text()
    assert run(*args) == 2
    assert words in capsys.readouterr().err
    assert Path("r/result.json").read_text() == before


def test_a_change_that_trains_nothing_leaves_an_ended_run_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run_dir=r", "trainer.max_steps=3") == 0
    before = Path("r/config.yaml").read_text()
    assert run("resume=r", "optim.lr=0.5") == 0
    assert "finished already" in capsys.readouterr().out
    assert Path("r/config.yaml").read_text() == before


def test_a_signal_during_the_final_measurement_is_an_interrupted_run_that_can_be_completed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dlkit import result as module

    assert run("run_dir=whole", "trainer.epochs=1") == 0
    real = module.evaluate

    def interrupting(*args: Any) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", interrupting)
        assert run("run_dir=r", "trainer.epochs=1") == 130
    assert result("r")["status"] == "interrupted"
    assert run("resume=r") == 0
    assert_same_bits("whole", "r")


def test_an_error_in_the_final_measurement_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlkit import result as module

    def failing(*args: Any) -> dict[str, float]:
        raise RuntimeError("no memory")

    monkeypatch.setattr(module, "evaluate", failing)
    assert run("run_dir=r", "trainer.max_steps=3") == 1
    assert (result("r")["status"], result("r")["reason"]) == ("failed", "RuntimeError: no memory")


def test_a_second_process_is_kept_out_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    from dlkit.rundir import locked

    Path("r").mkdir()
    with locked(Path("r")):
        assert run("run_dir=r", "resume=auto", *SHORT) == 2
        assert "is at work there" in capsys.readouterr().err
    assert run("run_dir=r", "resume=auto", *SHORT) == 0
    assert not Path("r/.lock").exists()


def test_the_numbers_of_numpy_and_random_go_on_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("noisy.py").write_text(
        "import random\nimport numpy as np\nimport torch\nfrom torch import nn\n"
        "class Noisy(nn.Module):\n"
        "    def __init__(self, spec, outputs):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(64, outputs)\n"
        "    def forward(self, x):\n"
        "        noise = random.random() * np.random.rand() if self.training else 0.0\n"
        "        return self.linear(x.flatten(1)) + noise * x.flatten(1)[:, :1]\n"
    )
    options = ["model=logreg", "model._target_=noisy.Noisy", *SHORT]
    assert run("run_dir=whole", *options) == 0
    with monkeypatch.context() as patch:
        StopAt(patch, 33)
        assert run("run_dir=parts", *options) == 143
    assert run("resume=parts", "--trust") == 0
    assert_same_bits("whole", "parts")


def test_frozen_norm_layers_keep_their_statistics() -> None:
    assert run("run_dir=old", "model.batch_norm=true", "trainer.epochs=1") == 0
    weights = load(Path("old/checkpoints/last.pt"))["model"]
    torch.save({name: tensor for name, tensor in weights.items() if not name.startswith("7.")}, "part.pt")
    assert run("run_dir=r", "model.batch_norm=true", "init_from=part.pt", "freeze=true", "trainer.epochs=1") == 0
    after = load(Path("r/checkpoints/last.pt"))["model"]
    assert torch.equal(after["2.running_mean"], weights["2.running_mean"])
    assert not torch.equal(after["7.weight"], weights["7.weight"])


def test_a_run_directory_that_was_moved_resumes() -> None:
    assert run("run_dir=a", "trainer.epochs=1") == 0
    Path("a").rename("b")
    assert run("resume=b", "trainer.epochs=2") == 0
    assert result("b")["step"] == 80
    assert not Path("a").exists()


def test_old_weights_begin_a_run_of_another_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run_dir=old", "trainer.epochs=2") == 0
    assert run("run_dir=new", "init_from=old", "freeze=true", "data=synthetic", "data.examples=320",
               "model.hidden=[256,128]", "trainer.max_steps=5") == 0  # fmt: skip
    shown = capsys.readouterr().out
    assert "1.weight: (256, 64) there, (256, 2) here" in shown
    old, new = (load(Path(folder) / "checkpoints" / "best.pt")["model"] for folder in ("old", "new"))
    assert torch.equal(old["3.weight"], new["3.weight"])
    assert new["5.weight"].shape == (2, 128)


def test_frozen_weights_stay_frozen_after_a_resume() -> None:
    run("run_dir=old", "trainer.max_steps=5")
    weights = load(Path("old/checkpoints/last.pt"))["model"]
    torch.save({name: weights[name] for name in ("1.weight", "1.bias")}, "part.pt")
    assert run("run_dir=r", "init_from=part.pt", "freeze=true", "trainer.epochs=1") == 0
    Path("part.pt").unlink()
    assert run("resume=r", "trainer.epochs=2") == 0
    after = load(Path("r/checkpoints/last.pt"))["model"]
    assert torch.equal(after["1.weight"], weights["1.weight"])
    assert not torch.equal(after["3.weight"], weights["3.weight"])


@pytest.mark.parametrize(
    ("source", "words"),
    [("nowhere.pt", "there is no nowhere.pt"), ("text.pt", "no weights that can be read"), ("other.pt", "none of its")],
)
def test_weights_that_cannot_be_read_or_do_not_fit_are_refused(
    source: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.pt").write_text("hello")
    torch.save({"a": torch.zeros(3)}, "other.pt")
    assert run("run_dir=r", f"init_from={source}") == 2
    assert words in capsys.readouterr().err
    assert not Path("r").exists()


def test_the_best_k_and_every_n_are_kept() -> None:
    options = ["callbacks.checkpoint.top_k=2", "callbacks.checkpoint.keep_every=100"]
    assert run("run_dir=r", *SHORT, *options) == 0
    names = {path.name for path in Path("r/checkpoints").iterdir()}
    values = {row["step"]: row["val/loss"] for row in lines("r") if "val/loss" in row}
    best = sorted(values, key=lambda step: values[step])[:2]
    assert names == {"last.pt", "best.pt", "step-100.pt", "step-200.pt"} | {f"best-{step}.pt" for step in best}
    first = load(Path(f"r/checkpoints/best-{best[0]}.pt"))
    assert_equal(first, load(Path("r/checkpoints/best.pt")), "best")


def test_the_best_k_are_the_same_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*SHORT, "callbacks.checkpoint.top_k=2"]
    assert run("run_dir=whole", *options) == 0
    with monkeypatch.context() as patch:
        StopAt(patch, 130)
        assert run("run_dir=parts", *options) == 143
    assert run("resume=parts") == 0
    for folder in ("whole", "parts"):
        assert len(list(Path(folder, "checkpoints").glob("best-*.pt"))) == 2
    names = [{path.name for path in Path(folder, "checkpoints").iterdir()} for folder in ("whole", "parts")]
    assert names[0] == names[1]


def test_options_and_final_figures_are_in_the_hparams_of_the_runs_own_folder() -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    assert run("run_dir=r", "optim.lr=0.003", "trainer.epochs=1") == 0
    events = EventAccumulator("r")
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    options = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert options["optim.lr"].number_value == 0.003
    assert options["model"].string_value == "mlp" and options["data.batch_size"].number_value == 32
    assert not [key for key in options if key.startswith("callbacks.") or key.endswith("_target_")]
    assert events.Scalars("test/accuracy")[-1].value == pytest.approx(result("r")["metrics"]["test/accuracy"])
    assert [path for path in Path("r").iterdir() if path.is_dir()] == [Path("r/checkpoints")]


def test_the_graph_and_the_config_are_in_tensorboard() -> None:
    assert run("run_dir=r", "model=cnn", "trainer.max_steps=2") == 0
    events = EventAccumulator("r")
    events.Reload()
    assert any("_convolution" in node.op for node in events.Graph().node)
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optim.lr: 0.001" in text
