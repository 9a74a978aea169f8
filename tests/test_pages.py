"""What the README and the documentation say beside their commands: links lead somewhere, figures were measured, and
commands within a sentence are ones that dlkit takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from dlkit.cli import COMMANDS
from dlkit.cli.preflight import check
from dlkit.settings import GROUPS, config_folder

REPOSITORY = Path(__file__).parent.parent
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
INLINE = re.compile(r"`((?:python train\.py|python -m|dlkit|pytest|pip install) [^`]+)`")


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and the site have them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    made = name.removeprefix("../").startswith("reference/")  # by scripts/reference.py; the site's build checks them
    return made or (target.exists() and (not anchor or anchor in anchors(target)))


def test_every_link_and_picture_leads_to_a_file_and_a_heading_in_it() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text())]
    assert len(links) > 80
    assert [(page.name, link) for page, link in links if not leads_somewhere(page, link)] == []


def test_the_figures_of_the_readme_are_those_that_were_measured() -> None:
    measured = json.loads((REPOSITORY / "docs" / "performance.json").read_text())
    ratios = {name: value for section in measured.values() for name, value, *_ in section.get("goals", ())}
    dlkit_seconds = next(row for row in measured["mnist_fast"]["rows"] if row[0] == "dlkit")
    lightning, local = (float(row[2]) for row in measured["sweeps"]["rows"][:2])
    readme = (REPOSITORY / "README.md").read_text()
    for words in (
        f"{ratios['MLP: Lightning ÷ dlkit']:.1f} x as fast as Lightning on in-memory batches",
        f"{ratios['MLP: tutorial ÷ dlkit']:.1f} x as fast as the usual loop with a DataLoader",
        f"{ratios['MLP: dlkit ÷ limit']:.2f} of the time of a bare loop written by hand",
        f"{ratios['64 jobs: Lightning, one after another ÷ stacked']:.0f} x as fast as Lightning's",
        f"{lightning / local:.1f} x as processes",
        f"{float(dlkit_seconds[1]):.1f} s of training, {float(dlkit_seconds[2]):.0f} s from the command to the end",
    ):
        assert words in readme


def inline_commands() -> set[str]:
    found = {line for page in PAGES for line in INLINE.findall(page.read_text(encoding="utf-8"))}
    return {line for line in found if "…" not in line and "--config-dir" not in line}


@pytest.mark.parametrize("line", sorted(inline_commands()))
def test_a_command_within_a_sentence_is_one_that_there_is(line: str) -> None:
    words = shlex.split(line.partition(" && ")[0])
    if words[0] == "pytest":
        assert [word for word in words if word.startswith("tests") and not (REPOSITORY / word).exists()] == []
    elif words[0] == "pip":
        assert f"\n{words[-1].strip('.[]')} = [" in (REPOSITORY / "pyproject.toml").read_text()
    elif words[:2] == ["python", "-m"]:
        place = REPOSITORY / words[2].replace(".", "/")
        assert words[2] == "benchmarks.NAME" or place.with_suffix(".py").is_file() or place.is_dir()
    elif words[1] in ("train", "train.py"):
        assert check(words[2:], config_folder()).mistakes == []
    else:
        assert words[1] in COMMANDS


def test_the_readme_names_every_choice() -> None:
    table = (REPOSITORY / "README.md").read_text().partition("## What can be chosen")[2].partition("## ")[0]
    groups = [group for group in GROUPS if group not in ("trainer", "experiment")]
    choices = {file.stem for group in groups for file in (config_folder() / group).glob("[!_]*.yaml")}
    assert choices - set(re.findall(r"`([^`]+)`", table)) == set()
