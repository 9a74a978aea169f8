"""A stranger's run cannot run code: each folder here would make a file, `marker`, if anything in it were followed."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import dlkit
from dlkit import runs, trained
from dlkit.settings import config_folder
from dlkit.trust import is_allowed, targets

TOUCH = "touch marker"
PYTHON = "__import__('pathlib').Path('marker').touch()"
OS_SYSTEM = {"_target_": "os.system", "_args_": [TOUCH]}
TINY = ["data=digits", "model=logreg", "callbacks=minimal", "trainer.max_steps=2", "trainer.threads=1"]
EVIL = f"{PYTHON}\nclass Model: ...\nEncoder = Callback = Model\ndef m(*args, **kwargs): ...\n"


class Bomb:
    """Makes the marker where it is unpickled as pickle does it."""

    def __reduce__(self) -> Any:
        return os.system, (TOUCH,)


# What takes the place of `model`, each of another kind of trick.
NODES: dict[str, dict[str, Any]] = {
    "a program": OS_SYSTEM,
    "a program by subprocess": {"_target_": "subprocess.run", "args": TOUCH, "shell": True},
    "eval": {"_target_": "builtins.eval", "_args_": [PYTHON]},
    "exec": {"_target_": "builtins.exec", "_args_": [PYTHON]},
    "torch.hub": {"_target_": "torch.hub.load", "repo_or_dir": "hub", "model": "m", "source": "local"},
    "torch.load": {"_target_": "torch.load", "f": "bomb.pt", "weights_only": False},
    "a module of the folder": {"_target_": "evil.Model"},
    "a partial": {"_target_": "functools.partial", "_args_": [OS_SYSTEM]},
    "hydra's call": {"_target_": "hydra.utils.call", "_recursive_": False, "config": OS_SYSTEM},
    "hydra's instantiate, of dlkit by name": {"_target_": "dlkit.build.instantiate", "_recursive_": False,
                                              "config": OS_SYSTEM},
    "dlkit's import of os": {"_target_": "dlkit.rundir.os.system", "_args_": [TOUCH]},
    "dlkit's import of torch": {"_target_": "dlkit.build.torch.hub.load", "repo_or_dir": "hub", "model": "m",
                                "source": "local"},
    "torch's import of os": {"_target_": "torch.serialization.os.system", "_args_": [TOUCH]},
    "a private function of dlkit": {"_target_": "dlkit.rundir._git", "_args_": ["init", "marker"]},
    "dlkit's command line": {"_target_": "dlkit.cli.main", "argv": ["train", *TINY, "run_dir=marker"]},
    "dlkit's training": {"_target_": "dlkit.library.train", "overrides": [*TINY, "run_dir=marker"]},
    "dlkit's cache, which calls": {"_target_": "dlkit.data.reading.cache.cached", "key": "k",
                                   "make": OS_SYSTEM | {"_partial_": True}, "folder": "marker"},
    "dlkit's download": {"_target_": "dlkit.data.reading.download.fetch", "url": "URL", "path": "marker",
                         "checksum": hashlib.md5(EVIL.encode()).hexdigest(), "download": True},
    "dlkit's writing": {"_target_": "dlkit.rundir.write_text", "text": "x", "path": "marker"},
    "a method of a module": {"_target_": "torch.nn.Module.load_state_dict", "_args_": [1, 2]},
    "a module that is given its code": {"_target_": "torch.fx.GraphModule", "root": {}, "graph": OS_SYSTEM},
    "a path with quotes": {"_target_": "evil.Model'\n"},
    "no name": {"_target_": ["os", "system"]},
}  # fmt: skip

PLACES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "callbacks": lambda config: config["callbacks"].update(bad=OS_SYSTEM),
    "a callback in a list": lambda config: config["callbacks"].update(bad=[[OS_SYSTEM]]),
    "regularizer.others": lambda config: config.update(
        regularizer={"_target_": "dlkit.regularizers.sum_of", "others": [OS_SYSTEM]}
    ),
    "data.augment": lambda config: config["data"].update(augment=OS_SYSTEM),
    "data.encoder": lambda config: config["data"].update(encoder="evil.Encoder"),
    "data": lambda config: config.update(data=OS_SYSTEM),
    "figure": lambda config: config.update(figure="evil.m"),
    "a layer": lambda config: config.update(
        model={"_target_": "dlkit.models.lego.lego", "layers": [{"linear": OS_SYSTEM}]}
    ),
    "loss": lambda config: config.update(loss=OS_SYSTEM),
    "an argument of optim": lambda config: config["optim"].update(lr=OS_SYSTEM),
    "scheduler": lambda config: config.update(scheduler=OS_SYSTEM),
    "init": lambda config: config.update(init=OS_SYSTEM),
    "trainer": lambda config: config.update(trainer=OS_SYSTEM),
    "final": lambda config: config.update(final=OS_SYSTEM),
    "_args_": lambda config: config["model"].update(_args_=[OS_SYSTEM]),
    "a reference": lambda config: config.update(model="${oc.create:'{_target_: os.system, _args_: [touch marker]}'}"),
    "a reference in part": lambda config: config["model"].update(_target_="${oc.decode:os.system}"),
    "a reference in a key": lambda config: config.update({"${oc.env:HOME}": 1}),
    "hydra": lambda config: config.update(hydra={"callbacks": {"bad": OS_SYSTEM}}),
    "hydra.searchpath": lambda config: config.update({"hydra.searchpath": ["file://evil"]}),
    "defaults": lambda config: config.update(defaults=[{"model": "evil"}]),
}

TEXTS: dict[str, Callable[[str], str]] = {
    "a YAML tag": lambda text: f"{text}\nx: !!python/object/apply:os.system ['{TOUCH}']\n",
    "a new YAML object": lambda text: f"{text}\nx: !!python/object/new:os.system ['{TOUCH}']\n",
    "a path instead of a name": lambda text: text.replace(
        "_target_: dlkit.models.linear.logreg", "_target_: !!python/object/apply:pathlib.Path [evil.Model]"
    ),
    "bytes instead of a name": lambda text: text.replace(
        "_target_: dlkit.models.linear.logreg", "_target_: !!binary ZXZpbC5Nb2RlbA=="
    ),
    "an escaped reference": lambda text: (
        text.replace("_target_: dlkit.models.linear.logreg", '"_target_": "$\\x7Boc.decode:os.system}"')
        + f"\nx: [{TOUCH}]\n"
    ),
    "an escaped key": lambda text: text.replace(
        "_target_: dlkit.models.linear.logreg", f'"\\x5ftarget_": os.system\n  _args_: ["{TOUCH}"]'
    ),
    "a package in the head": lambda text: f"# @package hydra\n{text}\nsweeper: {{_target_: evil.Model}}\n",
    "an anchor": lambda text: (
        f"{text.replace('callbacks:', 'x: &x {_target_: evil.Model}' + chr(10) + 'callbacks:')}\ny: {{<<: *x}}\n"
    ),
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of dlkit's own parts."""
    folder = tmp_path_factory.mktemp("honest") / "r"
    dlkit.train([*TINY, f"run_dir={folder}"])
    return folder


@pytest.fixture
def run(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in the folder where a command is typed, with what a stranger may have put there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as `python -m dlkit` has it
    monkeypatch.setattr(sys, "argv", ["dlkit"])
    shutil.copytree(honest, "r")
    (tmp_path / "evil.py").write_text(EVIL)
    for folder in ("hub", "r/model"):
        (tmp_path / folder).mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(EVIL)
    (tmp_path / "r" / "model" / "evil.yaml").write_text(yaml.safe_dump(OS_SYSTEM))
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    return Path("r")


def change(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config))


DOORS = {
    "evaluate": [],
    "predict": ["digit.png"],
    "export": ["--format", "safetensors"],
    "reproduce": ["--out", "again"],
}


def refused_everywhere(run: Path, capsys: pytest.CaptureFixture[str], words: str = "r/config.yaml") -> None:
    """Asserts that the library and every command refuse the run in a line, and that nothing of it was followed."""
    with pytest.raises(ValueError, match=words):
        trained.load(run)
    with pytest.raises(ValueError, match=words):
        dlkit.train([f"resume={run}", "trainer.max_steps=4"])
    doors = {f"dlkit.cli.{name}": [str(run), *more] for name, more in DOORS.items()}
    for module, args in {**doors, "dlkit.cli.train": [f"resume={run}", "trainer.max_steps=4"]}.items():
        if importlib.util.find_spec(module) is None:
            continue
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            importlib.import_module(module).main(args)
        said = capsys.readouterr().err
        assert (end.value.code, words in said, said.count("\n")) == (2, True, 1), f"{module}: {said}"
    assert not Path("marker").exists()
    assert not Path("again").exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_what_could_run_code_in_place_of_a_model_is_not_followed(
    node: dict[str, Any], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = {key: Path("evil.py").absolute().as_uri() if value == "URL" else value for key, value in node.items()}
    change(run, lambda config: config.update(model=filled))
    refused_everywhere(run, capsys)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_nothing_is_followed_wherever_it_stands(
    place: Callable[[dict[str, Any]], Any], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, place)
    refused_everywhere(run, capsys)


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
def test_no_way_to_write_yaml_gets_round_it(
    write: Callable[[str], str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "config.yaml"
    before = path.read_text()
    path.write_text(write(before))
    assert path.read_text() != before
    refused_everywhere(run, capsys)


def test_the_marker_is_made_where_code_is_let_run(run: Path) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        torch.load("bomb.pt", weights_only=False)
    Path("marker").unlink()
    change(run, lambda config: config.update(model={"_target_": "evil.Model"}))
    with pytest.raises((ValueError, TypeError)):
        trained.load(run, trust=True)
    assert Path("marker").exists()
    del sys.modules["evil"]


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_a_pickle_among_the_checkpoints_is_not_unpickled(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": Bomb(), "spec": {}, "step": 1}, run / "checkpoints" / name)
    with pytest.raises(ValueError, match=f"{name}: no checkpoint that can be read"):
        trained.load(run, weights=name.removesuffix(".pt"))
    if name == "last.pt":
        with pytest.raises(ValueError, match=r"last.pt: no checkpoint that can be read"):
            dlkit.train([f"resume={run}", "trainer.max_steps=4"])
        with pytest.raises(ValueError, match=r"init_from=.*no weights that can be read"):
            dlkit.train([*TINY, "init_from=r/checkpoints/last.pt"])
    assert not Path("marker").exists()


def test_a_link_out_of_the_folder_is_not_written_through(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("profile").write_text("mine")
    (run / "train.log").unlink()
    (run / "train.log").symlink_to(Path("profile").absolute())
    refused_everywhere(run, capsys, "r/train.log: is a link out of the run's folder")
    assert Path("profile").read_text() == "mine"


def test_files_beside_a_runs_config_are_no_choices_when_it_goes_on(run: Path) -> None:
    with pytest.raises(ValueError, match="other: no such option"):
        dlkit.train([f"resume={run}", "+other=evil"])
    with pytest.raises(ValueError, match="no such config"):
        dlkit.train([f"resume={run}", "--config-name=evil"])
    assert not Path("marker").exists()


def test_a_package_that_only_lies_in_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    Path("torchaudio").mkdir()
    Path("torchaudio/__init__.py").write_text(EVIL)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    assert not is_allowed("torchaudio.Model")
    assert not Path("marker").exists()


def test_whatever_dlkits_own_configs_name_is_allowed() -> None:
    for path in config_folder().rglob("*.yaml"):
        if path.parent.parent.name == "hydra":  # launchers and sweepers are in no run's config
            continue
        for place, name in targets({"data": yaml.safe_load(path.read_text())} if path.parent.name == "data"
                                   else yaml.safe_load(path.read_text())):  # fmt: skip
            assert is_allowed(name), f"{path}: {place}={name}"


@pytest.mark.parametrize(
    "name",
    ["torch.nn.Linear", "torch.nn.modules.linear.Linear", "torch.optim.SGD", "torch.optim.LBFGS",
     "torchvision.models.ResNet", "torchvision.ops.Conv2dNormActivation", "torchaudio.models.Conformer",
     "dlkit.models.cnn_text.CnnText", "dlkit.models.cnn.nn.Linear"],
)  # fmt: skip
def test_modules_and_optimisers_are_allowed(name: str) -> None:
    assert is_allowed(name)


@pytest.mark.parametrize(
    "name",
    ["torch.compile", "torch.jit.load", "torch.jit.ScriptModule", "torch.nn.parallel.DistributedDataParallel",
     "torch.distributed.optim.DistributedOptimizer", "torch.package.PackageImporter", "torch.utils.data.DataLoader",
     "torchvision.models.feature_extraction.DualGraphModule", "torchvision.models.get_model",
     "torchvision.datasets.CIFAR10", "torch.nn.Embedding.from_pretrained", "torch.nn", "torch", "",
     "torch.nn.modules.module._addindent", "dlkit.data.raw.Files", "dlkit.models.vectors.read", "dlkit.rundir.load",
     "torch.nn.functional.relu", "numpy.load", "dlkit"],
)  # fmt: skip
def test_functions_and_what_runs_or_reads_what_it_is_given_are_not_allowed(name: str) -> None:
    assert not is_allowed(name)


def test_a_part_that_dlkit_no_longer_has_is_said_to_be_gone(run: Path) -> None:
    change(run, lambda config: config["model"].update(_target_="dlkit.models.gone.gone"))
    with pytest.raises(ValueError, match=r"this dlkit has no such part. It was written by dlkit"):
        trained.load(run)


def test_a_run_of_dlkits_own_parts_and_an_optimiser_of_torch_needs_no_trust(run: Path) -> None:
    change(run, lambda config: config.update(
        optim={key: config["optim"][key] for key in ("decay_all", "lr_scale", "layer_decay", "lr")}
        | {"_target_": "torch.optim.Adam"}))  # fmt: skip
    assert trained.load(run).step == 2
    assert dlkit.train([f"resume={run}", "trainer.max_steps=4"]).result["step"] == 4


def test_a_run_with_a_class_of_ones_own_is_used_with_trust_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlkit.cli import reproduce, train

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("my_net.py").write_text(
        "from torch import nn\n"
        "def net(spec, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n"
    )
    dlkit.train([*TINY, "model._target_=my_net.net", "run_dir=r"])
    with pytest.raises(ValueError, match=r"model._target_=my_net.net: neither .* add --trust"):
        trained.load("r")
    assert trained.load("r", trust=True).step == 2
    for main, args in (
        (reproduce.main, ["r", "--trust"]),
        (train.main, ["resume=r", "--trust", "trainer.max_steps=3"]),
    ):
        with pytest.raises(SystemExit) as end:
            main(args)
        assert end.value.code == 0
    assert dlkit.train(["--trust", "resume=r", "trainer.max_steps=4"]).result["step"] == 4
    assert "--trust" not in str(runs.read_json(Path("r/env.json")))


def test_trust_without_a_run_to_go_on_with_is_refused() -> None:
    with pytest.raises(ValueError, match="--trust: is for resume=DIR"):
        dlkit.train([*TINY, "--trust"])
