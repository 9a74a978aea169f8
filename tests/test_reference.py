"""The reference of the configs has every choice and key, with default, range and meaning."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from dlkit.settings import GROUPS, config_folder, leaves

CONFIGS = config_folder()
TEMPLATE = Path(__file__).parent.parent / "src" / "dlkit" / "cli" / "template" / "conf"
ROW = re.compile(r"^\| `(\S+)` \| (.*?) \| (.*?) \| (.*) \|$", flags=re.MULTILINE)
Rows = dict[str, tuple[str, str, str]]  # default, what it takes, what it is, by key


def load_hook() -> Any:
    """scripts/reference.py, which mkdocs runs."""
    spec = importlib.util.spec_from_file_location("reference", CONFIGS.parent / "scripts" / "reference.py")
    assert spec and spec.loader
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook


@pytest.fixture(scope="module")
def sections() -> dict[str, Rows]:
    """The tables of the page by the title above them."""
    parts = re.split(r"^##+ (.+?)(?: \{#\S+\})?$", load_hook().configs(), flags=re.MULTILINE)[1:]
    tables = ({key: (default, takes, what) for key, default, takes, what in ROW.findall(text)} for text in parts[1::2])
    return dict(zip(parts[::2], tables, strict=True))


def files() -> Iterator[tuple[str, Path, str]]:
    """Title on the page, file and key of its node, of every choice but experiments, which set keys of others."""
    for file in sorted(CONFIGS.rglob("*.yaml")):
        group = file.relative_to(CONFIGS).parent.as_posix()
        if group != "." and not group.startswith("experiment"):
            name = f"/{file.name}" if file.name.startswith("_") else f"={file.stem}"
            is_global = file.read_text().startswith("# @package _global_")
            yield f"{group}{name}", file, "" if is_global else group.replace("/", ".")


def keys(node: Any, key: str) -> set[str]:
    found = {name for name, _ in leaves(node, key) if name.rpartition(".")[2][0] != "_"}
    return {name for name in found if not name.endswith("defaults")}


def test_every_key_has_a_default_what_it_takes_and_what_it_is(sections: dict[str, Rows]) -> None:
    rows = [(title, key, *cells) for title, table in sections.items() for key, cells in table.items()]
    assert len(rows) > 400
    nodes = [row for row in rows if row[2:4] == ("", "")]  # callbacks and the like, with options of their own or none
    assert [row for row in rows if not all(row) and row not in nodes] == []
    assert [row for row in nodes if not row[4]] == []


def test_every_key_of_every_file_is_there(sections: dict[str, Rows]) -> None:
    for title, file, key in files():
        assert keys(OmegaConf.to_container(OmegaConf.load(file)), key) - set(sections[title]) == set(), title
    shared = OmegaConf.to_container(OmegaConf.load(CONFIGS / "train.yaml"))
    told = set().union(*(table for title, table in sections.items() if title in (*GROUPS, "The run", "final")))
    assert {key for key in keys(shared, "") if not key.startswith("hydra")} - told == set()


def test_every_experiment_is_there(sections: dict[str, Rows]) -> None:
    names = [file.relative_to(CONFIGS).with_suffix("").as_posix() for file in (CONFIGS / "experiment").rglob("*.yaml")]
    assert {name.replace("/", "=", 1) for name in names} <= set(sections)


def test_every_callback_says_what_it_is(sections: dict[str, Rows]) -> None:
    for choice in ("default", "everything", "minimal"):
        names = {f"callbacks.{name}" for name in OmegaConf.load(CONFIGS / "callbacks" / f"{choice}.yaml")}
        assert names - {"callbacks.defaults"} <= set(sections[f"callbacks={choice}"])


@pytest.mark.parametrize(
    ("title", "key", "default", "takes"),
    [
        ("data=mnist", "data.batch_size", "`128`", "a whole number of at least 1 or full"),  # shared, its own default
        ("data/_image.yaml", "data.augment.rotate", "`0`", "a number between 0 and 180"),  # of a node within
        ("data/_text.yaml", "data.tokenizer", "`word`", "one of word, char, bpe"),  # of the encoder
        ("data=image_folder", "data.root", "to be given", "text"),
        ("optim=gd", "optim.lr", "`0.1`", "a number greater than 0"),  # a file of the whole config
        ("model/_speech.yaml", "model.features.hop", "`10`", "a number greater than 0"),
        ("hydra/launcher=slurm", "hydra.launcher.timeout_min", "`60`", "a whole number of at least 1"),
    ],
)
def test_a_key_is_shown_with_the_default_of_its_choice_and_the_range_of_its_annotation(
    title: str, key: str, default: str, takes: str, sections: dict[str, Rows]
) -> None:
    assert sections[title][key][:2] == (default, takes)


@pytest.mark.parametrize("file", sorted(TEMPLATE.glob("[!e]*/*.yaml")), ids=lambda file: file.stem)
def test_a_new_project_begins_with_files_that_say_what_every_key_is(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines()[1:] if not line.startswith("_")]
    assert lines
    assert [line for line in lines if "# " not in line] == []
