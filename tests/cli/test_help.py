"""The help says what the config files say, and the commands in it work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlkit.cli import COMMANDS, completion, help, main
from dlkit.cli.preflight import check
from dlkit.settings import GROUPS, config_folder

REPOSITORY = Path(__file__).parents[2]


def page() -> str:
    return help.page([config_folder()], "python train.py")


def test_the_page_fits_a_terminal() -> None:
    lines = page().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100


def test_the_page_names_every_choice_of_every_group() -> None:
    words = set(page().replace("*", " ").split())
    missing = {file.stem for group in GROUPS for file in (config_folder() / group).glob("[!_]*.yaml")} - words
    assert missing == set()
    assert not [word for word in words if word.startswith("_")]


def test_the_page_marks_the_default_choices() -> None:
    assert "*digits" in page()
    assert "*mlp" in page()
    assert "*cnn" not in page()


def test_the_examples_of_the_page_are_right() -> None:
    examples = [line.split("#")[0].split()[2:] for line in page().splitlines() if line.startswith("  python train.py")]
    assert len(examples) == 5
    assert [check(example, config_folder()).mistakes for example in examples] == [[]] * 5


def test_every_option_of_the_page_is_there() -> None:
    shown = [key for key in help.USEFUL if f"  {key}=" in page()]
    assert shown == list(help.USEFUL)


def test_a_choice_is_explained_by_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    help.show(["model=cnn", "data=mnist"], config_folder())
    shown = capsys.readouterr().out
    assert "model.kernel_size=3" in shown
    assert "side of a filter in pixels" in shown
    assert "data.batch_size=128" in shown  # the file's value with the comment of train.yaml
    assert "the whole training split" in shown
    assert "data.augment.flip=0" in shown
    assert "optim.lr" not in shown


def test_the_options_that_a_kind_of_data_has_in_common_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    help.show(["data=text_folder"], config_folder())
    shown = capsys.readouterr().out
    for line in (config_folder() / "data" / "_text.yaml").read_text().splitlines()[1:]:
        key, _, comment = line.partition("#")
        assert f"data.{key.split(':')[0]}=" in shown
        assert comment.strip().split(" ")[0] in shown
    assert "data.encoder=dlkit.data.text.tokens.Tokens" in shown
    assert "defaults" not in shown


def test_launchers_and_sweepers_are_explained_like_any_choice(capsys: pytest.CaptureFixture[str]) -> None:
    help.show(["hydra/launcher=slurm", "hydra/sweeper=optuna"], config_folder())
    shown = capsys.readouterr().out
    assert "hydra.launcher.timeout_min=60" in shown
    assert "minutes that Slurm gives a job" in shown
    assert "hydra.sweeper.n_trials=20" in shown


@pytest.mark.parametrize("option", ["experiment=null", "hydra/launcher=basic"])
def test_a_choice_without_a_file_gets_the_page_for_all(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    help.show([option], config_folder())
    assert "Groups and their choices" in capsys.readouterr().out


def test_a_defaults_list_in_a_users_file_is_followed_in_both_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    for name, defaults in (("a", "defaults: [_image, _self_]\n"), ("b", "defaults:\n  - _image\n  - _self_\n")):
        (tmp_path / "data" / f"{name}.yaml").write_text(f"# Mine.\n{defaults}_target_: my.{name}\nnormalize: minmax\n")
        help.show([f"data={name}"], config_folder(), str(tmp_path))
        shown = capsys.readouterr().out
        assert "data.augment.flip=0" in shown
        assert "data.normalize=minmax" in shown
        assert "standardize (mean 0" in shown  # the comment of _image.yaml


def test_the_choices_of_a_users_folder_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# Of my own.\n_target_: my.net\nwidth: 3  # units\n")
    help.show([], config_folder(), str(tmp_path))
    assert "mine" in capsys.readouterr().out.split()
    help.show(["model=mine"], config_folder(), str(tmp_path))
    shown = capsys.readouterr().out
    assert "model=mine: Of my own." in shown
    assert "model.width=3  units" in shown


def test_the_command_lists_its_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"dlkit {command}" in shown for command in COMMANDS)


def test_every_command_is_also_a_script() -> None:
    scripts = REPOSITORY / "scripts"
    for command, module in COMMANDS.items():
        place = REPOSITORY / "train.py" if command == "train" else scripts / f"{module.rpartition('.')[2]}.py"
        assert f"from {module} import main\n" in place.read_text()


def test_the_command_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.startswith("dlkit ")


@pytest.mark.parametrize(("typed", "advice"), [("trian", "mean train?"), ("model=cnn", "mean dlkit train model=cnn?")])
def test_a_mistyped_subcommand_gets_a_suggestion(typed: str, advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main([typed])
    assert refusal.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert advice in captured.err


def completions(line: str, *command: str) -> list[str]:
    """What the shell is offered for a line that ends where the cursor is."""
    done = subprocess.run(
        [sys.executable, *command, "-sc", "query=bash"],
        env={**os.environ, "COMP_LINE": line},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_tab_completes_choices_and_keys_of_the_script() -> None:
    assert completions("python train.py optim=ada", "train.py") == ["optim=adagrad", "optim=adam", "optim=adamw"]
    assert "optim.lr=" in completions("python train.py optim.", "train.py")


def test_tab_offers_no_file_that_others_build_on() -> None:
    offered = completions("python train.py data=", "train.py")
    assert "data=digits" in offered
    assert not [word for word in offered if "=_" in word]


def test_tab_completes_the_words_after_a_subcommand() -> None:
    dlkit = ("-c", "from dlkit.cli import main; main()")
    assert completions("dlkit tr", *dlkit) == ["train"]
    assert completions("dlkit train model=lo", *dlkit) == ["model=logreg"]
    assert completions("dlkit schedule scheduler=cos", *dlkit) == ["scheduler=cosine"]
    assert "optim.lr=" in completions("dlkit train model=cnn optim.", *dlkit)


def test_tab_offers_nothing_for_an_unknown_subcommand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", "dlkit spam ")
    completion.complete(["-sc", "query=bash"])
    assert capsys.readouterr().out == ""
