"""Tab completion for `dlkit SUBCOMMAND …`: Hydra completes a command line whose second word it must not see."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from dlkit.cli import COMMANDS, lectures
from dlkit.settings import GROUPS, config_folder

OPTIONS = ("train", "schedule", "find-lr")  # commands that take the options of a run
RUN = ("evaluate", "predict", "landscape", "export", "reproduce", "info")  # those whose first word is a run


def complete(args: list[str]) -> None:
    """Answers the shell: the subcommands, the runs under `outputs`, or what Hydra knows about the options of a run."""
    from dlkit.cli import train

    if "query=bash" in args:
        line = os.environ.get("COMP_LINE", "")
        words = line.split()
        if len(words) < 2 or (len(words) == 2 and not line.endswith(" ")):
            start = words[1] if len(words) == 2 else ""
            print(" ".join(command for command in COMMANDS if command.startswith(start)))
            return
        if words[1] in RUN and len(words) == (2 if line.endswith(" ") else 3):
            print(" ".join(folders(words[2] if len(words) == 3 else "")))
        if words[1] == "lectures":
            print(" ".join(name for name in lectures.names() if name.startswith(_last(line))))
        if words[1] not in OPTIONS:
            return
        os.environ["COMP_LINE"] = line.replace(f" {words[1]}", "", 1)
    train.main(args)


def folders(start: str) -> list[str]:
    """`latest` and the folders of runs that begin with a text; the shell cuts at blanks, so none that has one."""
    from dlkit.runs import OUTPUTS, all_runs

    known = ["latest", *map(str, all_runs(OUTPUTS))]
    return [name for name in known if name.startswith(start) and " " not in name]


def nested(start: str) -> list[str]:
    """The choices in folders within a group that begin with a text: experiment=lectures/sparsity."""
    group, equals, _ = start.partition("=")
    if not equals or group not in GROUPS:
        return []
    found = sorted((config_folder() / group).glob("*/[!_]*.yaml"))
    choices = [f"{group}={file.parent.name}/{file.stem}" for file in found]
    return [choice for choice in choices if choice.startswith(start)]


def _last(line: str) -> str:
    """The word that is being typed."""
    return "" if line.endswith(" ") else line.split()[-1]


@contextmanager
def as_the_preflight() -> Iterator[None]:
    """Prints what Hydra answers the shell without the files that others build on, since `data=_image` is no choice, and
    with those in folders, which it does not know."""
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            yield
    finally:
        known = re.sub(r"\S+=_\S*\s*", "", answer.getvalue()).rstrip("\n")
        print(" ".join(filter(None, [known, *nested(_last(os.environ.get("COMP_LINE") or " "))])))
