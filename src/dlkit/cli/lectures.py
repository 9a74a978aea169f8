"""Show what the lectures claim: `dlkit lectures` lists them, `dlkit lectures all` checks every claim, into one page.

`dlkit lectures sparsity nonlinearity` trains the runs of these two, draws their figures and checks their claims in
numbers. Options behind the names are for all of their runs: seed=0,1,2 checks every claim for three seeds, and `dlkit
lectures nonlinearity model.activation=identity,relu` compares others. What a lecture sets and compares is written in
configs/experiment/lectures/NAME.yaml, how its figure is drawn in src/dlkit/lectures/NAME.py. Folders and the page,
index.html, are in outputs/lectures, with options in a folder of their name there; what is done stays, so the same
command goes on where it stopped. Exit code 1 where a claim does not hold or runs failed, 2
where a figure cannot draw its runs.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dlkit.cli import docstring, lecture_pages
from dlkit.cli.arguments import Parser
from dlkit.cli.lecture_pages import Lecture
from dlkit.cli.preflight.words import did_you_mean
from dlkit.mistakes import answered
from dlkit.rundir import write_text
from dlkit.settings import config_folder
from dlkit.sweeps import plan

ROOT = Path("outputs") / "lectures"
CONFIGS = Path("experiment") / "lectures"  # under configs/: a file a lecture, the only list of them


def main(args: list[str] | None = None) -> None:
    """Lists the lectures or runs some; exits with 1 where one does not hold, with 2 for a mistake."""
    parser = Parser("lectures", __doc__)
    parser.add_argument(
        "words", nargs="*", metavar="NAME|KEY=VALUE", help="lectures, or all; and options of their runs"
    )
    parser.add_argument("--docs", metavar="DIR", help="write README.md with small pictures into DIR, too")
    flags = parser.parse_args(args)
    options = [word for word in flags.words if "=" in word or word.startswith("~")]
    with answered():
        chosen = _chosen([word for word in flags.words if word not in options])
        if not chosen and (options or flags.docs):
            raise ValueError(
                f"{' '.join([*options, *filter(None, [flags.docs])])}: of which lectures? name some, or all"
            )
        if not chosen:
            _list()
            return
        folder = _folder(options)
        code = 0
        for name in chosen:
            code = max(code, _run(name, options, folder / name))
            if code > 128:  # a signal is meant for all
                print("The same command goes on where this one stopped.")
                break
        if any((folder / name).is_dir() for name in chosen):  # else all were refused
            _close(chosen, options, folder, flags.docs)
    sys.exit(code)


def names() -> list[str]:
    """The lectures, by the alphabet."""
    return sorted(file.stem for file in (config_folder() / CONFIGS).glob("[!_]*.yaml"))


def lecture(name: str, options: list[str], folder: Path) -> Lecture:
    """What is known of one whose runs are in the folder, or are to be there."""
    text = (config_folder() / CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
    return Lecture.read(name, docstring(f"dlkit.lectures.{name}"), text, options, folder)


def _chosen(words: list[str]) -> list[str]:
    """The lectures that the words name. Raises ValueError for one that there is not."""
    known = names()
    for word in words:
        if word not in (*known, "all"):
            raise ValueError(f"{word}: no such lecture{did_you_mean(word, known) or '.'} `dlkit lectures` lists them")
    return known if "all" in words else list(dict.fromkeys(words))


def _list() -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("lecture", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for name in names():
        table.add_row(name, docstring(f"dlkit.lectures.{name}").partition("\n")[0])
    Console(highlight=False, markup=False).print(table, markup=False)
    print(
        "\n`dlkit lectures NAME` runs one, `dlkit lectures NAME seed=1` with an option, `dlkit lectures all` runs all"
    )


def _folder(options: list[str]) -> Path:
    """Where the runs with these options are; how and where they run makes no difference."""
    asked = plan.asks(options)
    return ROOT / plan.folder_name(",".join(asked)) if asked else ROOT


def _run(name: str, options: list[str], folder: Path) -> int:
    """Trains what of the lecture's runs is not done yet, and draws; the exit code. What fails is told."""
    from hydra.core.override_parser.types import Quote, QuotedString

    from dlkit.cli import train

    print(f"\n===== {name}: {docstring(f'dlkit.lectures.{name}').partition(chr(10))[0]}\n", flush=True)
    file, copy = config_folder() / CONFIGS / f"{name}.yaml", folder / "lecture.yaml"
    if copy.is_file() and copy.read_text(encoding="utf-8") != file.read_text(encoding="utf-8"):
        print(f"{folder}: has runs of another {file.name}; remove this folder to begin anew", file=sys.stderr)
        return 2
    place = QuotedString(str(folder), Quote.single).with_quotes()
    try:
        train.main(["-m", f"experiment=lectures/{name}", *options, f"hydra.sweep.dir={place}"])
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # of a function that draws, which may be anybody's: the other lectures go on
        traceback.print_exc()
        return 1
    finally:
        if folder.is_dir():
            write_text(file.read_text(encoding="utf-8"), copy)
    return 0


def _close(chosen: list[str], options: list[str], folder: Path, docs: str | None) -> None:
    """Writes the page of all lectures that the folder has, and those chosen, and says how these came out."""
    there = [name for name in names() if name in chosen or (folder / name / "finding.json").is_file()]
    shown = [lecture(name, options, folder / name) for name in there]
    path = lecture_pages.write(shown, options, folder)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("lecture", "claim"):
        table.add_column(column)
    for one in shown:
        if one.name in chosen:
            table.add_row(one.name, one.verdict)
    print()
    Console(highlight=False).print(table, markup=False)
    print(f"\n{path}")
    if docs is not None:
        words = [*(["all"] if chosen == names() else chosen), *options]
        print(lecture_pages.write_docs([one for one in shown if one.name in chosen], words, Path(docs)))
