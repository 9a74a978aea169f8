"""Every file under configs/ composes, builds and trains two steps; every choice goes with every other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import small_sets
from omegaconf import DictConfig, OmegaConf

from dlkit.build import build
from dlkit.callbacks.base import Callback
from dlkit.cli.preflight import check
from dlkit.settings import GROUPS, config_folder
from dlkit.state import State
from dlkit.sweeps.compose import Composer
from dlkit.trainer import fit

CONFIGS = config_folder()
CHOICES = {group: sorted(path.stem for path in (CONFIGS / group).glob("[!_]*.yaml")) for group in GROUPS}
PAIRS = [(group, choice) for group in GROUPS for choice in CHOICES[group]]
REGRESSION = ("data=synthetic", "data.name=sine")
NUMBERS = ("mae", "huber")  # losses that take no classes
LARGE = {("init", "normal"): 1e4}  # first losses: of weights N(0, 1)
SMALLER = {  # for digits, and for two steps in a moment
    "torchvision": ["model.name=shufflenet_v2_x0_5"],
    "airbench": ["model.channels=[8,16]"],
}
CONVOLVES = {"whiten": ["model=airbench", *SMALLER["airbench"]]}  # inits that want a model of images
MODELS = {"Tokens": "lstm_text", "Waves": "lstm_speech"}  # by the encoder of the data
CHOSEN = re.compile(r"override /data: (\w+)")
pytestmark = pytest.mark.filterwarnings("ignore:data.batch_size=.* leaves")  # small sets are no multiple of a batch


@cache
def composer(keys: tuple[str, ...]) -> Composer:
    """That of a sweep over these keys, which composes each choice once and puts combinations together from them."""
    checked = check(["-m", "seed=0"], CONFIGS).composer if not keys else composer(())
    assert checked is not None
    return Composer(checked.loader, checked.sweep)


def config(*overrides: str) -> DictConfig:
    last = {text.partition("=")[0]: text for text in overrides}  # of options given twice
    return OmegaConf.create(composer(tuple(last)).compose(list(last.values()))[0])


def two_steps(place: Path, *overrides: str) -> list[float]:
    """Trains two steps in `place` and returns their losses."""
    seen = any(text.startswith(("callbacks=", "experiment=")) for text in overrides)  # else as quick as can be
    quick = [] if seen else ["callbacks=minimal"]
    run = build(config(*overrides, *quick, "trainer.max_steps=2", "trainer.log_every=1"), place)
    losses: list[float] = []

    class Watch(Callback):
        def on_log(self, state: State, figures: dict[str, float]) -> None:
            losses.append(figures["train/loss"])

    fit(run.state, run.engine, run.data, run.schedule, [*run.callbacks, Watch()], eval_every=1, log_every=1)
    assert run.state.step == 2
    return losses


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files in the layouts of all sets."""
    root = tmp_path_factory.mktemp("small") / "data"
    small_sets.write_all(root)
    return root


@pytest.fixture(autouse=True)
def on_small_files(small_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKIT_DATA", str(small_files))
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_files.parent / "cache"))
    small_sets.fake_archives(monkeypatch)


def fitting_data(model: str, root: Path) -> list[str]:
    """Data of the kind that a model takes: the default digits, or small texts or recordings."""
    choice = "text_csv" if model.endswith("_text") or model == "fasttext" else "fsdd" if "speech" in model else ""
    return [f"data={choice}", "data.batch_size=8", *small_sets.options(choice, root)] if choice else []


@pytest.mark.parametrize(("group", "choice"), PAIRS, ids=lambda value: value)
def test_every_choice_composes_builds_and_trains(group: str, choice: str, small_files: Path, tmp_path: Path) -> None:
    more: list[str] = []
    if group == "loss" and choice in NUMBERS:
        more = list(REGRESSION)
    elif group == "data":
        more = ["data.batch_size=8", *small_sets.options(choice, small_files)]
        kind = config(f"data={choice}", *more).data.encoder.rpartition(".")[2]
        more.append(f"model={MODELS.get(kind, 'mlp')}")
    elif group == "experiment":
        data = str(CHOSEN.search((CONFIGS / group / f"{choice}.yaml").read_text())[1])  # type: ignore[index]
        more = ["data.batch_size=8", *small_sets.options(data, small_files)]
    elif group == "model":
        more = [*fitting_data(choice, small_files), *SMALLER.get(choice, [])]
    elif group == "init":
        more = CONVOLVES.get(choice, [])
    losses = two_steps(tmp_path, f"{group}={choice}", *more)
    assert len(losses) == 2
    assert all(0 <= loss < LARGE.get((group, choice), 100) for loss in losses)


@pytest.mark.parametrize("model", [model for model in CHOICES["model"] if not fitting_data(model, Path())])
@pytest.mark.parametrize("loss", [loss for loss in CHOICES["loss"] if loss not in NUMBERS])
def test_every_model_for_images_goes_with_every_loss(model: str, loss: str, tmp_path: Path) -> None:
    assert len(two_steps(tmp_path, f"model={model}", f"loss={loss}", *SMALLER.get(model, []))) == 2


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
    assert len(two_steps(tmp_path, *choices, *CONVOLVES.get(init, []))) == 2


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_file_begins_with_a_line_that_says_what_it_is(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert lines[0].endswith((".", ",", "?"))
