"""Every file under configs/ composes, builds and trains two steps; every choice goes with every other."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from dlkit.build import build
from dlkit.cli.configs import folder
from dlkit.settings import GROUPS
from dlkit.trainer import fit

CONFIGS = folder()
CHOICES = {group: sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) for group in GROUPS}
PAIRS = [(group, choice) for group in GROUPS for choice in CHOICES[group]]
REGRESSION = ("data=synthetic", "data.name=sine")
NUMBERS = ("mae", "huber")  # losses that take no classes
LARGE = {("data", "diabetes"): 1e5, ("init", "normal"): 1e4}  # first losses: of raw targets to 346; of weights N(0, 1)


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def two_steps(place: Path, *overrides: str) -> list[float]:
    """Trains two steps in `place` and returns their losses."""
    run = build(config(*overrides, "trainer.max_steps=2", "trainer.log_every=1"), place)
    losses: list[float] = []

    class Watch:
        def __getattr__(self, name: str) -> Any:
            return lambda state, *rest: losses.extend([rest[0]["train/loss"]] if name == "on_log" else [])

    fit(run.state, run.engine, run.data, run.schedule, [*run.callbacks, Watch()], eval_every=1, log_every=1)
    assert run.state.step == 2
    return losses


@pytest.fixture
def small_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder with small files in the layouts of the known sets."""
    root = tmp_path / "data"
    for name in ("MNIST", "FashionMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for split, count in (("train", 285), ("t10k", 50)):
            pixels = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8).numpy().tobytes()
            labels = (torch.arange(count) % 10).to(torch.uint8).numpy().tobytes()
            head = struct.pack(">IIII", 2051, count, 28, 28)
            (raw / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels))
            (raw / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 2049, count) + labels))
    monkeypatch.setenv("DLKIT_DATA", str(root))


def examples_of_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts small pictures where CIFAR-10's 170 MB archive would be read (its reader has tests of its own)."""
    from dlkit.data import vision
    from dlkit.data.examples import Examples

    def cifar10(*, root: str, download: bool) -> Examples:
        x, y = torch.randint(0, 256, (285, 3, 32, 32), dtype=torch.uint8), torch.arange(285) % 10
        return Examples("image", "classification", {"train": (x, y), "test": (x[:50], y[:50])}, tuple("0123456789"))

    monkeypatch.setattr(vision, "cifar10", cifar10)


@pytest.mark.parametrize(("group", "choice"), PAIRS, ids=lambda value: value)
def test_every_choice_composes_builds_and_trains(
    group: str, choice: str, small_sets: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples_of_cifar(monkeypatch)
    data = REGRESSION if group == "loss" and choice in NUMBERS else ()
    losses = two_steps(tmp_path, f"{group}={choice}", *data)
    assert len(losses) == 2
    assert all(0 <= loss < LARGE.get((group, choice), 100) for loss in losses)


@pytest.mark.parametrize("model", CHOICES["model"])
@pytest.mark.parametrize("loss", [loss for loss in CHOICES["loss"] if loss not in NUMBERS])
def test_every_model_goes_with_every_loss(model: str, loss: str, tmp_path: Path) -> None:
    smaller = ["model.name=shufflenet_v2_x0_5"] if model == "torchvision" else []
    assert len(two_steps(tmp_path, f"model={model}", f"loss={loss}", *smaller)) == 2


@pytest.mark.parametrize("model", ["logreg", "mlp", "cnn"])
@pytest.mark.parametrize("optim", CHOICES["optim"])
def test_every_optimiser_goes_with_every_kind_of_layer(model: str, optim: str, tmp_path: Path) -> None:
    assert len(two_steps(tmp_path, f"model={model}", f"optim={optim}", "optim.layer_decay=0.9")) == 2


@pytest.mark.parametrize("model", ["linreg", "ridge", "lasso", "mlp", "lego"])
@pytest.mark.parametrize("loss", ["auto", "mse", *NUMBERS])
def test_numbers_as_targets_go_with_the_models_for_tables(model: str, loss: str, tmp_path: Path) -> None:
    assert len(two_steps(tmp_path, *REGRESSION, f"model={model}", f"loss={loss}")) == 2


@pytest.mark.parametrize(("init", "i"), [(init, i) for i, init in enumerate(CHOICES["init"])])
@pytest.mark.parametrize(("scheduler", "j"), [(scheduler, j) for j, scheduler in enumerate(CHOICES["scheduler"])])
def test_every_schedule_goes_with_every_init_and_with_each_regulariser_in_turn(
    scheduler: str, init: str, i: int, j: int, tmp_path: Path
) -> None:
    regularizer = CHOICES["regularizer"][(i + j) % len(CHOICES["regularizer"])]
    choices = (f"regularizer={regularizer}", f"scheduler={scheduler}", f"init={init}", "scheduler.warmup_steps=0.5")
    assert len(two_steps(tmp_path, *choices)) == 2


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_file_begins_with_a_line_that_says_what_it_is(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert lines[0].endswith((".", ","))


@pytest.mark.parametrize("group", ["data", "model", "loss", "optim", "scheduler", "regularizer", "trainer"])
def test_every_option_of_a_choice_is_explained_where_it_stands(group: str) -> None:
    plain_words = {"nesterov", "download"}
    for choice in CHOICES[group]:
        for line in (CONFIGS / group / f"{choice}.yaml").read_text().splitlines()[1:]:
            key = line.split(":")[0].strip()
            if not key.startswith("_") and key not in plain_words and key != "batch_size":
                assert "#" in line, f"{group}/{choice}.yaml: {key} has no comment"
