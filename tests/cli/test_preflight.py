"""Every wrong command line is answered at once: which key, what is wrong, what to write, exit code 2, no folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlkit.cli.preflight import Checked, check, refuse, summary
from dlkit.settings import config_folder

REPOSITORY = Path(__file__).parents[2]


def checked(command: str) -> Checked:
    return check(command.split(), config_folder())


def mistakes(command: str) -> list[str]:
    return checked(command).mistakes


# (what is typed, the key that the line begins with, what the line suggests or explains)
WRONG = [
    # choices and groups
    ("optim=adamm", "optim=adamm", "did you mean optim=adam?"),
    ("data=mnits", "data=mnits", "did you mean data=mnist?"),
    ("loss=crossentropy", "loss=crossentropy", "did you mean loss=cross_entropy?"),
    ("model=transformer9", "model=transformer9", "model has: "),
    ("optim=null", "optim=null", "optim has: "),
    ("callbacks=[default,minmal]", "callbacks=minmal", "did you mean callbacks=minimal?"),
    ("experiment=mnist_cn", "experiment=mnist_cn", "did you mean experiment=mnist_cnn?"),
    ("callbacks=null", "callbacks=null", "~callbacks leaves the group out"),
    ("model=[mlp,cnn]", "model=[mlp,cnn]", "-m model=mlp,cnn"),
    ("~model", "model", "_target_ is missing"),
    ("hydra/launcher=nowhere", "hydra/launcher=nowhere", "hydra/launcher has: "),
    ("optimizer=adam", "optimizer", "did you mean optim=adam?"),
    ("lr_scheduler=cosine", "lr_scheduler", "did you mean scheduler=cosine?"),
    ("net=cnn", "net", "did you mean model=cnn?"),
    # words that are no key=value
    ("mnist", "mnist", "did you mean data=mnist?"),
    ("data mnist", "data mnist", "did you mean data=mnist?"),
    ("--data=mnist", "--data=mnist", "did you mean data=mnist?"),
    ("-data mnist", "-data mnist", "did you mean data=mnist?"),
    ("optim:adam", "optim:adam", "did you mean optim=adam?"),
    ("optim.lr 0.1", "optim.lr 0.1", "did you mean optim.lr=0.1?"),
    ("optim.lr = 0.1", "optim.lr", "did you mean optim.lr=0.1?"),
    ("optim.lr= 0.1", "optim.lr=0.1", "without spaces"),
    ("--epochs 5", "--epochs 5", "did you mean trainer.epochs=5?"),
    ("model.hidden=[64, 32]", "model.hidden=[64,32]", "without spaces"),
    # syntax
    ("model.hidden=[64", "model.hidden=[64", "[ and ] do not match"),
    ("name='x", "name='x", "quotation mark"),
    ("=3", "=3", "key before = is missing"),
    ("optim..lr=3", "optim..lr=3", "no key"),
    ("optim.lr=0.1,0.01", "optim.lr=0.1,0.01", "needs -m"),
    ("-m seed=range(1,0)", "seed=range(1,0)", "no values"),
    ("-m seed=range(0,1,0)", "seed=range(0,1,0)", "no values"),
    ("-m model=glob(x*)", "model=glob(x*)", "no values"),
    # flags
    ("--multrun seed=1", "--multrun", "did you mean --multirun?"),
    ("--cfg jb", "--cfg jb", "did you mean job?"),
    ("--config-dir", "--config-dir", "needs a value"),
    ("--config-dir nowhere/at/all", "--config-dir nowhere/at/all", "no such folder"),
    ("--config-name trian", "--config-name trian", "did you mean train?"),
    ("--cfg job -m", "--multirun and --cfg", "together"),
    # keys
    ("optim.lrr=1", "optim.lrr", "did you mean optim.lr?"),
    ("optm.lr=1", "optm.lr", "did you mean optim.lr?"),
    ("lr=0.1", "lr", "did you mean optim.lr?"),
    ("epochs=3", "epochs", "did you mean trainer.epochs?"),
    ("batch_size=4", "batch_size", "did you mean data.batch_size?"),
    ("learning_rate=1", "learning_rate", "did you mean optim.lr?"),
    ("model.lr=0.1", "model.lr", "did you mean optim.lr?"),
    ("model=mlp model.channels=[8]", "model.channels", "model=cnn"),
    ("data.augment.flp=0.5", "data.augment.flp", "did you mean data.augment.flip?"),
    ("trainer.epoch=3", "trainer.epoch", "did you mean trainer.epochs?"),
    ("callbacks.early_stop.patence=3", "callbacks.early_stop.patence", "did you mean callbacks.early_stop.patience?"),
    ("nmae=x", "nmae", "did you mean name?"),
    ("hydra.run.dirr=x", "hydra.run.dirr", "did you mean hydra.run.dir?"),
    ("+optim.lr=0.1", "+optim.lr=0.1", "write optim.lr=0.1"),
    ("+optim.momentun=0.9 optim=sgd", "optim.momentun", "optim has: "),
    ("+spam=1", "spam", "There are: "),
    ("~optim.lrr", "~optim.lrr", "did you mean ~optim.lr?"),
    ("~optim.lr", "optim.lr", "is missing"),
    ("+callbacks.mine.x=1", "callbacks.mine", "_target_ is missing"),
    # what stands in the files that others build on, and the options of encoders
    ("data=_image", "data=_image", "no such choice. data has: "),
    ("data=_imag", "data=_imag", "no such choice"),
    ("data=iris data.augment.flip=1", "data.augment.flip", "one of data=cifar10"),
    ("data=iris data.normalize=minmx", "data.normalize=minmx", "did you mean minmax?"),
    ("data.normalise=minmax", "data.normalise", "did you mean data.normalize?"),
    ("data.encoder=dlkit.data.scale.Scle", "data.encoder=dlkit.data.scale.Scle", "did you mean Scale?"),
    ("data.encoder=3", "data.encoder=3", "dotted name of a class"),
    ("data.encoder=spam.Encoder", "data.encoder=spam.Encoder", "no module spam"),
    ("data.encoder=null", "data.normalize", "`defaults: [_image, _self_]`"),
    ("data.fold=-1", "data.fold=-1", "at least 0"),
    ("data.folds=1", "data.folds=1", "at least 2"),
    ("data.sampler=balance", "data.sampler=balance", "did you mean balanced?"),
    ("+data.overfit_batches=1", "data.overfit_batches", "did you mean trainer.overfit_batches?"),
    ("+data.seed=1", "data.seed", "did you mean seed?"),
    ("data=cldr_names data.tokenizer=wrod", "data.tokenizer=wrod", "did you mean word?"),
    # values
    ("optim.lr=abc", "optim.lr=abc", "must be a number greater than 0"),
    ("optim.lr=-1", "optim.lr=-1", "must be greater than 0"),
    ("optim.lr=null", "optim.lr=null", "must be a number greater than 0"),
    ("optim.lr=true", "optim.lr=true", "must be a number greater than 0"),
    ("optim.lr=nan", "optim.lr=nan", "must be a number greater than 0"),
    ("optim.lr=", "optim.lr=", "must be a number greater than 0"),
    ("optim.betas=[0.9,1.5]", "optim.betas[1]=1.5", "at least 0 and less than 1"),
    ("optim.betas=[0.9]", "optim.betas=[0.9]", "a list of 2 numbers"),
    ("model.dropout=1.5", "model.dropout=1.5", "must be between 0 and 1"),
    ("model.hidden=64", "model.hidden=64", "write model.hidden=[64]"),
    ("model.hidden=[64,-1]", "model.hidden[1]=-1", "at least 1"),
    ("model.activation=rleu", "model.activation=rleu", "did you mean relu?"),
    ("trainer.device=gpu", "trainer.device=gpu", "did you mean cuda?"),
    ("trainer.epochs=0", "trainer.epochs=0", "greater than 0"),
    ("trainer.max_steps=1e3", "trainer.max_steps=1000.0", "write 1000"),
    ("trainer.compile=1", "trainer.compile=1", "true or false"),
    ("scheduler.warmup_steps=-5", "scheduler.warmup_steps=-5", "at least 0"),
    ("scheduler=cosine scheduler.final=2", "scheduler.final=2", "between 0 and 1"),
    ("regularizer=l2 regularizer.gamma=-1", "regularizer.gamma=-1", "at least 0"),
    ("data.batch_size=0", "data.batch_size=0", "at least 1"),
    ("data.batch_size=ful", "data.batch_size=ful", "did you mean full?"),
    ("data.augment=0", "data.augment=0", "data.augment.flip"),
    ("callbacks.early_stop.patience=0", "callbacks.early_stop.patience=0", "at least 1"),
    ("seed=-1", "seed=-1", "at least 0"),
    ("name=3", "name=3", "quoted twice"),
    ("data=mnist data.root=${spam}", "data.root=${spam}", "spam"),
    # targets
    ("model._target_=dlkit.models.mlp.mpl", "model._target_=dlkit.models.mlp.mpl", "did you mean mlp?"),
    ("model._target_=dlkit.modells.mlp.mlp", "model._target_=dlkit.modells.mlp.mlp", "did you mean models?"),
    ("model._target_=dlkit.models.mlp", "model._target_=dlkit.models.mlp", "name something in it: mlp"),
    ("model._target_=spam.Net", "model._target_=spam.Net", "no module spam"),
]


@pytest.mark.parametrize(("command", "key", "advice"), WRONG, ids=[command for command, _, _ in WRONG])
def test_a_wrong_command_names_the_key_and_what_to_write(command: str, key: str, advice: str) -> None:
    lines = mistakes(command)
    assert any(line.startswith(key) and advice in line for line in lines), lines
    assert all("\n" not in line for line in lines)
    assert len(lines) <= 2


RIGHT = [
    "",
    "model=cnn optim=adam data=mnist",
    "optim.lr=3",
    "optim.lr=1e-3 optim.weight_decay=0",
    "model.hidden=[]",
    "data=iris data.normalize=minmax data.fold=0 data.folds=5",
    "data.sampler=balanced data.encoder=dlkit.data.scale.Scale",
    "data=cldr_names data.tokenizer=char",
    "data.batch_size=full",
    "trainer.epochs=0.5 trainer.max_steps=null",
    "experiment=spirals",
    "callbacks=minimal",
    "~callbacks.progress",
    "+callbacks.second._target_=dlkit.callbacks.grad_clip.GradClip +callbacks.second.max_norm=1",
    "tags=[a,b] name=x run_dir=/nowhere",
    "+width=64 model.hidden=[${width}]",
    "-m model=mlp,cnn optim=glob(*) seed=range(5)",
    "seed=1 -m optim.lr=0.1,0.01 --config-name=train",
]


@pytest.mark.parametrize("command", RIGHT)
def test_a_right_command_passes(command: str) -> None:
    assert mistakes(command) == []


def test_the_config_of_a_single_run_is_composed() -> None:
    result = checked("optim.lr=0.5 model=cnn")
    assert result.config is not None
    assert result.config.optim.lr == 0.5
    assert "hydra" not in result.config


@pytest.mark.parametrize("flag", ["--help", "--cfg job"])
def test_what_is_only_shown_needs_no_values_but_true_names_and_types(flag: str) -> None:
    assert mistakes("data=text_csv") == [f"data.{name}: needs a value" for name in ("path", "text", "label")]
    assert mistakes(f"data=text_csv {flag}") == []
    assert mistakes(f"data=text_csv data.pth=x data.min_count=a {flag}")


def test_nothing_is_to_train_where_the_config_is_only_shown_or_swept() -> None:
    assert checked("--cfg job").config is None
    assert checked("-m seed=1,2").config is None
    assert checked("-m seed=1,2").multirun


def test_flags_between_overrides_reach_hydra_in_front_of_them() -> None:
    assert checked("seed=1,2 -m optim.lr=0.1").argv == ["-m", "seed=1,2", "optim.lr=0.1"]


def test_all_mistakes_of_a_command_are_named_at_once() -> None:
    lines = mistakes("optim.lr=x model=foo trainer.device=gpu seed=-1 spam --verbos loss.a=1")
    for key in ("optim.lr=x", "model=foo", "trainer.device=gpu", "seed=-1", "spam", "--verbos", "loss.a"):
        assert sum(line.startswith(key) for line in lines) == 1


@pytest.mark.parametrize("value", ["~/clips", "/home/ü/Aufnahmen für Übung", "a#b & c!", r"C:\Übung", "größe"])
def test_text_with_umlauts_and_signs_needs_no_second_quotes(value: str) -> None:
    found = check(["data=audio_folder", f"data.root={value}", "model=cnn_speech"], config_folder())
    assert not found.mistakes and found.config is not None and found.config.data.root == value


def test_each_text_of_a_list_and_of_a_sweep_is_quoted_for_itself() -> None:
    columns = check(["data=text_csv", "data.path=x.csv", "data.text=[Betreff,Größe]", "data.label=y"], config_folder())
    assert columns.config is not None and columns.config.data.text == ["Betreff", "Größe"]
    sweep = check(["-m", "data=audio_folder", "data.root=/ä,/b", "model=cnn_speech"], config_folder())
    assert not sweep.mistakes and sweep.overrides[1] == "data.root='/ä',/b"


def test_a_pattern_with_brackets_is_answered_with_its_quotes() -> None:
    folder = ["data=audio_folder", "model=cnn_speech"]
    wrong = check([*folder, "data.root=x", r"data.group=speaker(\d+)"], config_folder())
    assert len(wrong.mistakes) == 1 and wrong.mistakes[0].endswith(r"""twice: "data.group='speaker(\d+)'" """[:-1])
    lacking = check([*folder, "data.root=clips (1)"], config_folder())
    assert len(lacking.mistakes) == 1  # not that data.root needs a value, too


def test_options_of_a_wrong_choice_are_left_alone() -> None:
    assert [line.split(":")[0] for line in mistakes("model=cnnn model.channels=[8]")] == ["model=cnnn"]


def test_every_value_of_a_sweep_is_judged_and_named_once() -> None:
    lines = mistakes("-m optim.lr=0.1,-1,abc,-1 model=mlp,cnnn,cnn optim=adam,adamw")
    assert [line.split(":")[0] for line in lines] == ["model=cnnn", "optim.lr=-1", "optim.lr=abc"]


def test_the_ends_of_a_range_are_judged() -> None:
    assert mistakes("-m optim.lr=range(0,1,0.1)") == [
        "optim.lr=0.0: must be greater than 0 (1 of 10 jobs, such as optim.lr=0.0)"
    ]


def test_a_key_that_some_swept_choices_lack_is_named_with_the_choice() -> None:
    lines = mistakes("-m optim=adam,sgd optim.betas=[0.9,0.99]")
    assert len(lines) == 1
    assert lines[0].startswith("optim.betas: ")
    assert lines[0].endswith("(with optim=sgd: 1 of 2 jobs, such as optim=sgd)")


def test_a_sweep_of_a_thousand_points_is_judged_in_seconds() -> None:
    start = time.process_time()
    command = "-m model=mlp,cnn,logreg optim=glob(*) seed=range(100) optim.lr=0.1,0.01,0.001"
    assert mistakes(command) == []
    assert time.process_time() - start < 6


def test_more_than_three_mistakes_are_two_and_a_count() -> None:
    assert summary(["a", "b", "c"]) == ["a", "b", "c"]
    assert summary(["a", "b", "c", "d", "e", "f"]) == ["a", "b", "... and 4 more mistakes"]


def test_a_refusal_goes_to_stderr_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        refuse(["a: is wrong"])
    assert refusal.value.code == 2
    assert capsys.readouterr() == ("", "a: is wrong\n")


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's working folder with a module of models and a config folder `mine`."""
    files = {
        "usermodels.py": "def net(spec, outputs, *, width: int, depth: int = 2): ...\n",
        "userneeds.py": "import nowhere_to_be_found\n",
        "userbreaks.py": "x = 1\ny = x.z\n",
        "mine/model/net.yaml": "_target_: usermodels.net\nwidth: 8\n",
        "mine/model/open.yaml": "_target_: usermodels.net\nwidth: ???\n",
        "mine/model/typo.yaml": "_target_: usermodels.net\nwidth: 8\ndeph: 3\n",
        "mine/model/absent.yaml": "_target_: usermodels.nett\n",
        "mine/model/needs.yaml": "_target_: userneeds.net\n",
        "mine/model/breaks.yaml": "_target_: userbreaks.net\n",
        "mine/model/torn.yaml": "_target_: usermodels.net\nwidth: [8\nx: 1\n",
        "mine/optim/bare.yaml": "lr: 0.1\n",
        "usersets.py": "def rows(*, count: int): ...\nclass Encoder:\n    def __init__(self, *, depth: int = 2): ...\n",
        "mine/data/rows.yaml": "_target_: usersets.rows\ncount: 8\n",
        "mine/data/scaled.yaml": "_target_: usersets.rows\ncount: 8\nnormalize: minmax\n",
        "mine/data/pixels.yaml": "defaults: [_image, _self_]\n_target_: usersets.rows\ncount: 8\nnormalize: minmax\n",
        "mine/data/own.yaml": "_target_: usersets.rows\ncount: 8\nencoder: usersets.Encoder\ndepth: 3\n",
        "mine/experiment/pixels.yaml": "# @package _global_\ndefaults:\n  - override /data: pixels\n"
        "data:\n  augment:\n    flip: 0.5\n",
        "mine/experiment/old.yaml": "# @package _global_\ndefaults:\n  - override /optim: adamm\n",
        "mine/experiment/typo.yaml": "# @package _global_\noptim:\n  lrr: 3\ntrainr:\n  epochs: 3\n",
        "mine/experiment/sweep.yaml": "# @package _global_\nhydra:\n  mode: MULTIRUN\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


USERS_MISTAKES = [
    ("model=net model.width=a", ["model.width=a: must be a whole number"]),
    (
        "model=net model.depth=3",
        ["model.depth: not in the config, but an option of its _target_; write +model.depth=3"],
    ),
    ("model=open", ["model.width: needs a value"]),
    ("model=typo", ["model.deph: no such option; did you mean model.depth? model has: width, depth"]),
    ("model=absent", ["model._target_=usermodels.nett: usermodels has no nett; did you mean net?"]),
    (
        "model=needs",
        [
            "model._target_=userneeds.net: import of userneeds failed: ModuleNotFoundError: "
            "No module named 'nowhere_to_be_found' (userneeds.py, line 1)"
        ],
    ),
    (
        "model=breaks",
        [
            "model._target_=userbreaks.net: import of userbreaks failed: AttributeError: "
            "'int' object has no attribute 'z' (userbreaks.py, line 2)"
        ],
    ),
    (
        "data=scaled",
        [
            "data.normalize: no such option. data has: batch_size, val_fraction, test_fraction, split_seed, fold, "
            "folds, scale_target, sampler, count, encoder, augment; `defaults: [_image, _self_]` in its file (or "
            "_table, _text, _audio) adds more"
        ],
    ),
    ("data=own data.depth=a", ["data.depth=a: must be a whole number"]),
    (
        "data=own data.encoder=usersets.Encod",
        ["data.encoder=usersets.Encod: usersets has no Encod; did you mean Encoder?"],
    ),
    (
        "data=pixels data.normalize=minmx",
        ["data.normalize=minmx: must be one of none, standardize, minmax; did you mean minmax?"],
    ),
    ("optim=bare", ["optim: _target_ is missing, the class or function to build"]),
    (
        "experiment=sweep optim.lr=0.1,-1",
        ["optim.lr=-1: must be greater than 0 (1 of 2 jobs, such as optim.lr=-1)"],
    ),
]


@pytest.mark.parametrize(("command", "lines"), USERS_MISTAKES, ids=[command for command, _ in USERS_MISTAKES])
def test_mistakes_in_a_users_own_files_are_named(users: Path, command: str, lines: list[str]) -> None:
    assert mistakes(f"--config-dir=mine {command}") == lines


def test_a_users_own_model_passes(users: Path) -> None:
    assert mistakes("--config-dir=mine model=net") == []
    assert mistakes("--config-dir mine model=open model.width=3 +model.depth=3") == []


@pytest.mark.parametrize("command", ["data=rows", "data=pixels data.augment.flip=0.5", "data=own", "experiment=pixels"])
def test_a_users_own_data_passes_with_and_without_what_its_kind_has_in_common(users: Path, command: str) -> None:
    assert mistakes(f"--config-dir=mine {command}") == []


def test_a_torn_file_is_named_with_its_line(users: Path) -> None:
    (line,) = mistakes("--config-dir=mine model=torn")
    assert "torn.yaml, line 3: " in line


def test_an_experiment_file_is_judged_like_the_command_line(users: Path) -> None:
    (line,) = mistakes("--config-dir=mine experiment=old")
    assert line.startswith("optim=adamm: no such choice; did you mean optim=adam?")
    top, optim = mistakes("--config-dir=mine experiment=typo")
    assert top.startswith("trainr: no such option; did you mean trainer?")
    assert optim.startswith("optim.lrr: no such option; did you mean optim.lr?")


def test_the_error_behind_a_failed_import_is_kept_for_debug(users: Path) -> None:
    result = checked("--config-dir=mine model=breaks debug=true")
    assert result.debug
    assert [type(cause) for cause in result.causes] == [AttributeError]


def run_script(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *command.split()],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command", ["optim.lrr=1", "mnist", "--data=mnist", "-m optim.lr=0.1,-1", "model=cnnn seed=a --cfg job"]
)
def test_a_wrong_command_exits_with_2_and_leaves_no_folder(tmp_path: Path, command: str) -> None:
    done = run_script(tmp_path, command)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_neither_a_wrong_command_nor_the_shown_config_imports_torch() -> None:
    program = (
        "import sys; from dlkit.settings import config_folder as folder; from dlkit.cli.preflight import check\n"
        "check(['optim.lrr=1'], folder()); check(['--cfg', 'job'], folder()); check(['optim.lr=3'], folder())\n"
        "print([name for name in ('torch', 'torchvision', 'sklearn', 'rich', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["optim.lrr=1", "--cfg job", "--help"])
def test_an_answer_takes_a_third_of_the_time_of_importing_torch(tmp_path: Path, command: str) -> None:
    def fastest(arguments: list[str]) -> float:
        times = []
        for _ in range(5):  # the fastest of several, since the machine does other things too
            start = time.perf_counter()
            subprocess.run(arguments, cwd=tmp_path, capture_output=True)
            times.append(time.perf_counter() - start)
        return min(times)

    answer = fastest([sys.executable, str(REPOSITORY / "train.py"), *command.split()])
    assert answer <= 0.35 * fastest([sys.executable, "-c", "import torch, torchvision"])
