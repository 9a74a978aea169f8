"""Every command line of the README and the documentation runs: with two steps where it trains, on small files."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_sets
import small_texts
import sounds
from PIL import Image

from dlkit import cli
from dlkit.cli import lectures

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def commands(page: Path) -> list[str]:
    """The lines of the page's bash fences, without comments, continued ones joined."""
    fences = page.read_text(encoding="utf-8").split("```bash\n")[1:]
    lines = "\n".join(fence.split("```")[0] for fence in fences).replace("\\\n", "").splitlines()
    return [shown for line in lines if (shown := " ".join(re.sub(r"(^|\s)#.*", "", line).split()))]


LISTED = set(commands(REPOSITORY / "benchmarks" / "README.md"))


LECTURES = {f"python train.py experiment=lectures/{name} seed=0,1,2" for name in lectures.names()}  # tests/lectures
OWN_CODE = {line for line in commands(REPOSITORY / "docs" / "cookbook" / "own_code.md") if "--config-dir" in line}
ELSEWHERE = LISTED | LECTURES | OWN_CODE  # the last are run by test_documented_code.py


def run_here(line: str) -> bool:
    """Whether the test runs the line; all others are listed."""
    return line.split()[0] in ("python", "dlkit") and line not in ELSEWHERE


WITH_COMMANDS = [page for page in PAGES if any(map(run_here, commands(page)))]


def test_every_command_is_run_by_this_test_or_listed_in_benchmarks() -> None:
    lines = {line for page in PAGES for line in commands(page)}
    assert len(lines) > 60
    assert sorted(line for line in lines if not run_here(line) and line not in ELSEWHERE) == []
    assert sorted(LISTED - lines) == []


def test_no_command_line_stands_in_a_fence_of_another_language() -> None:
    """A fence without a language is for what is shown, not typed; the README's `$ ` has a test of its own."""
    others = [fence for page in PAGES for fence in page.read_text(encoding="utf-8").split("```")[1::2]]
    typed = [line for fence in others if not fence.startswith("bash\n") for line in fence.splitlines()]
    assert [line for line in typed if re.match(r"\s*(python|dlkit|pip|torchrun|pytest) ", line)] == []


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files that the commands name, and small files in place of the known sets."""
    small_sets.write_all(tmp_path / "known")
    monkeypatch.setenv("DLKIT_DATA", str(tmp_path / "known"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for i in range(40):
        for k, kind in enumerate(("cat", "dog")):
            picture(tmp_path / "pictures" / kind / f"{i + 1:03}.jpg", 60 + 90 * k + i, (30 + i % 5, 34))
            clip = tmp_path / "clips" / kind / f"speaker{i % 4}-{i}.wav"
            sounds.write(clip, sounds.tone(0.3, 8000, 200 + 300 * k), 8000)
            small_sets.put(tmp_path / "letters" / kind / f"{i}.txt", [small_texts.sentence(i + k)])
        picture(tmp_path / "photos" / str(i % 10) / f"{i}.png", 5 * i, (8, 8))
    picture(tmp_path / "photo.png", 100, (8, 8))
    mails = [f"subject {i},{small_texts.sentence(i)},ann,{('work', 'play')[i % 2]}" for i in range(80)]
    small_sets.put(tmp_path / "mails.csv", ["subject,body,author,kind", *mails])
    sales = [f"{1000 + 37 * i}.5,{1 + i % 5},{('red', 'green')[i % 2]}" for i in range(80)]
    small_sets.put(tmp_path / "sales.csv", ["price,rooms,colour", *sales])
    for place in ([], ["run_dir=runs/a"]):
        assert ended(["train", "trainer.max_steps=2", "callbacks=minimal", *place]) == 0
    yield tmp_path


def picture(path: Path, shade: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = path.suffix == ".png"
    Image.new("L" if grey else "RGB", size, shade if grey else (shade, 60, 90)).save(path)


def shrunk(line: str) -> list[str]:
    """The arguments behind `dlkit`, training for two steps."""
    words = shlex.split(re.sub(r"keep_every=\d+", "keep_every=1", re.sub(r"range\(\d+\)", "range(2)", line)))
    words = ["train", *words[2:]] if words[0] == "python" else words[1:]
    small = [] if "data.batch_size" in line or "runs/a" in line else ["data.batch_size=8"]
    if words[0] == "find-lr":
        return [*words, *small, "--steps", "10"]
    if words[0] != "train" or {"--help", "dry_run=true"} & set(words) or "--cfg" in words:
        return words
    steps = 4 if "keep_every" in line else 3 if "resume=runs/a" in words else 2
    return [*words, *small, f"trainer.max_steps={steps}", *(["hydra.sweeper.n_trials=2"] if "optuna" in line else [])]


def ended(words: list[str]) -> int:
    """The exit code; a sweep in a process of its own, since it forks others."""
    if "-m" in words or words[0] == "sweep" or "experiment=optimisers" in words:
        return subprocess.run([sys.executable, "-m", "dlkit", *words], stdout=subprocess.DEVNULL).returncode
    try:
        cli.main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, scene: Path) -> None:
    for line in filter(run_here, commands(page)):
        suits = (0, 1) if "find-lr" in line else (0,)  # ten steps may show no rate
        assert ended(shrunk(line)) in suits, line
