"""The Python and YAML of the README and the documentation runs as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import dlkit
from dlkit.cli import main
from dlkit.cli.preflight import check
from dlkit.settings import config_folder

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
LIBRARY = [REPOSITORY / "README.md", REPOSITORY / "docs" / "cookbook" / "use.md"]
OWN_CODE = REPOSITORY / "docs" / "cookbook" / "own_code.md"
FENCE = re.compile(r"^```(yaml|python)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:# @package _global_\n)?# (\S+\.(?:yaml|py))\n")


def snippets(page: Path) -> list[str]:
    return [text for _, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def write_files(page: Path, folder: Path) -> None:
    """Writes the snippets whose first line names a file, whole, as a reader does."""
    for text in snippets(page):
        if name := FILE.match(text):
            file = folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield
    for module in [name for name in sys.modules if name.split(".")[0] == "myproject"]:
        del sys.modules[module]


def test_every_snippet_is_a_file_or_uses_the_library() -> None:
    named = {page: [text for text in snippets(page) if not FILE.match(text)] for page in PAGES}
    assert {page for page, others in named.items() if others} == set(LIBRARY)
    assert all("dlkit." in text for page in LIBRARY for text in named[page])


def test_the_files_on_the_page_of_one_s_own_code_train_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["new", "myproject"])
    monkeypatch.chdir(tmp_path / "myproject")
    write_files(OWN_CODE, Path())
    (command,) = re.findall("^dlkit train (--config-dir .*)$", OWN_CODE.read_text(), flags=re.MULTILINE)
    run = dlkit.train([*shlex.split(command), "trainer.max_steps=5", "trainer.eval_every=1"])
    assert run.result["status"] == "finished"
    assert "step 5: {'val/loss'" in (run.folder / "train.log").read_text()  # told by the callback


@pytest.mark.parametrize("page", ["sweeps.md", "search.md"])
def test_the_studies_on_a_page_are_accepted(page: str) -> None:
    write_files(REPOSITORY / "docs" / page, Path())
    (file,) = Path("conf/experiment").iterdir()
    assert check(["--config-dir", "conf", f"experiment={file.stem}"], config_folder()).mistakes == []


def test_the_library_is_used_as_the_pages_say(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 100).save(tmp_path / "photo.png")
    dlkit.train(["model=cnn", "trainer.max_steps=2"])
    for page in LIBRARY:
        for text in snippets(page):
            exec(text.replace("trainer.epochs=5", "trainer.max_steps=2"), {})
