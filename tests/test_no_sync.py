"""Between two logs no step waits for a GPU, whatever the data: with augmentation, clipping, averages and the guard.

On the CPU the same steps are made, so that the test itself is known to run.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import small_sets
import torch
from test_configs import config

from dlkit.build import build

IMAGES = ("data.augment.flip=0.5", "data.augment.crop=1", "data.augment.rotate=10", "data.augment.erase=0.2")
RUNS = {
    "tables": ("data=iris", "model=mlp", "model.batch_norm=true"),
    "images": ("data=digits", "model=cnn", *IMAGES),
    "mixed images": ("data=digits", "model=cnn", "data.augment.mixup=0.2", "data.augment.cutmix=1"),
    "alternating flips": ("data=digits", "model=cnn", "data.augment.flip=alternating"),
    "streamed images": ("data=image_folder", "model=cnn", "data.memory_limit=1e-9", "data.workers=0", *IMAGES),
    "texts": ("data=text_csv", "model=lstm_text"),
    "recordings": ("data=fsdd", "model=cnn_speech", "data.augment.noise=0.1", "data.augment.shift=0.1"),
    "muon": ("data=digits", "model=mlp", "optim=muon", "regularizer=max_norm"),
    "several rules": ("data=digits", "model=mlp", "optim=rmsprop", "regularizer=elastic_net"),
}
CAPTURED = {"images, captured": (*RUNS["images"], "trainer.capture=true")}
GPU = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
CASES = [
    *((name, "cpu") for name in RUNS),
    *(pytest.param(name, "cuda", marks=GPU) for name in [*RUNS, *CAPTURED]),
]
EVERYWHERE = ("data.batch_size=8", "callbacks.grad_clip.max_norm=1", "trainer.ema=0.9", "callbacks=default")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "data"
    small_sets.write_all(root)
    return root


@pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves")
@pytest.mark.parametrize(("name", "device"), CASES)
def test_no_step_waits_for_a_gpu(
    name: str, device: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLKIT_DATA", str(files))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = {**RUNS, **CAPTURED}[name]
    given = small_sets.options(words[0].removeprefix("data="), files)
    run = build(config(*words, *given, *EVERYWHERE, f"trainer.device={device}", "trainer.epochs=3"), tmp_path)
    state, batches = run.state, run.data.train(0)
    state.train_mode()
    clip = run.callbacks[0]
    try:
        for step in range(min(2 * run.data.steps_per_epoch + 1, 20)):
            if device == "cuda" and step == 5:  # memory is had, kernels are chosen, graphs are recorded
                torch.cuda.set_sync_debug_mode("error")
            for group in state.optim.param_groups:
                group["lr"] = group["initial_lr"] * run.schedule(step)
            run.engine.backward(next(batches))
            clip.on_grad(state)
            run.engine.update()
            state.step += 1
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert run.engine.read_log()["train/loss"] >= 0
    assert state.grad_norm is not None and len(state.parts) >= 2
