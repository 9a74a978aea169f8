"""Finds every mistake of a command line before Hydra makes a folder. Imports neither torch nor anything that does."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlkit import runs
from dlkit.cli.preflight import line as command_line
from dlkit.cli.preflight.compositions import Compositions
from dlkit.cli.preflight.groups import Groups, combinations
from dlkit.cli.preflight.loose import judge_loose
from dlkit.cli.preflight.nodes import Judge, plain
from dlkit.cli.preflight.overrides import parse
from dlkit.cli.preflight.words import did_you_mean

MOST_COMPOSITIONS = 64  # of a sweep over groups, about 50 ms each


@dataclass
class Checked:
    """What a command line means, and what is wrong with it."""

    flags: argparse.Namespace  # Hydra's
    argv: list[str]  # for Hydra: flags first, which it needs, then overrides
    mistakes: list[str] = field(default_factory=list)
    causes: list[BaseException] = field(default_factory=list)  # behind mistakes: failed imports
    overrides: list[str] = field(default_factory=list)  # key=value, as typed
    multirun: bool = False
    choices: dict[str, str] = field(default_factory=dict)  # group -> the file chosen
    config: DictConfig | None = None  # of a single run that will train; without the node `hydra`

    @property
    def debug(self) -> bool:
        """Whether the traceback behind a mistake is to be shown."""
        return "debug=true" in (override.lower() for override in self.overrides)


def check(args: list[str], config_dir: Path | str, config_name: str = "train") -> Checked:
    """Judges flags, choices, keys, values and targets, those of a sweep too; writes nothing and trains nothing.

    With `--help`, `--info`, `--version` and the like nothing is judged but the flags themselves.
    """
    if "--version" in args:
        return Checked(argparse.Namespace(version=True), ["--version"])
    line = command_line.read(args)
    flags = line.flags
    checked = Checked(flags, line.argv, list(line.mistakes), overrides=line.overrides, multirun=flags.multirun)
    only_shows = [flags.hydra_help, flags.info, flags.shell_completion, flags.experimental_rerun]
    only_shows.append(flags.help and not (line.overrides or line.loose))
    if any(only_shows) or (flags.config_dir and not Path(flags.config_dir).is_dir()):
        return checked
    with _hydra(config_dir, flags.config_dir) as hydra:
        _judge(hydra, flags.config_name or config_name, line, checked)
    checked.mistakes = list(dict.fromkeys(checked.mistakes))
    return checked


def check_saved(args: list[str], config: dict[str, Any]) -> Checked:
    """As `check`, for options that change the config of a run, given as `runs.read_config` read it, here completed.

    Hydra is shown a copy, for in the folder of a run, which may be a stranger's, it would find other files too.
    """
    with TemporaryDirectory() as folder:
        OmegaConf.save(runs.completed(config), Path(folder) / "config.yaml")
        return check(args, folder, "config")


def refuse(mistakes: list[str], causes: list[BaseException] | None = None) -> NoReturn:
    """Says what is wrong on stderr, after the tracebacks of `causes`, and ends the program with exit code 2."""
    for cause in causes or ():
        traceback.print_exception(cause)
    sys.stderr.write("\n".join(summary(mistakes)) + "\n")
    raise SystemExit(2)


def summary(mistakes: list[str]) -> list[str]:
    """One line a mistake; of more than three, two and a count."""
    if len(mistakes) <= 3:
        return mistakes
    return [*mistakes[:2], f"... and {len(mistakes) - 2} more mistakes"]


@contextmanager
def _hydra(config_dir: Path | str, extra: str | None) -> Iterator[Hydra]:
    """Hydra over our configs and the folder of `--config-dir`, in the order in which the run will search them."""
    search = create_config_search_path(str(config_dir))
    if extra:
        path = f"file://{Path(extra).resolve()}"
        search.prepend(provider="command-line", path=path, anchor=SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("train", search)
    finally:
        GlobalHydra.instance().clear()


def _judge(hydra: Hydra, config_name: str, line: command_line.Line, checked: Checked) -> None:
    """Fills in the mistakes, the mode and the config."""
    groups = Groups(hydra.config_loader)
    if config_name not in groups.choices(""):
        hint = did_you_mean(config_name, groups.choices(""))
        checked.mistakes.append(f"--config-name {config_name}: no such config{hint}")
        return
    parsed, wrong = parse(line.overrides, hydra.config_loader)
    checked.mistakes += wrong
    good: list[Override] = []
    others: list[Override] = [override for override in parsed if not groups.is_group(override)]
    for override in parsed:
        if groups.is_group(override) and not (wrong := groups.judge(override)):
            good.append(override)
        elif groups.is_group(override):
            checked.mistakes += wrong
            # what its options are for is not known, so they are left alone
            others = [other for other in others if other.key_or_group.split(".")[0] != override.key_or_group]
    judge = Judge(trains=not (checked.flags.cfg or checked.flags.help))
    _judge_compositions(Compositions(hydra, config_name, groups, judge), good, others, line, checked)
    checked.causes = judge.causes


def _judge_compositions(
    compositions: Compositions,
    chosen: list[Override],
    others: list[Override],
    line: command_line.Line,
    checked: Checked,
) -> None:
    """Judges every set of choices; of a mistake that only some sets have, says with which."""
    rows = combinations(chosen, MOST_COMPOSITIONS)
    config, lines = compositions.compose(rows[0])
    checked.multirun |= config is not None and config.hydra.mode == RunMode.MULTIRUN
    if not checked.multirun:
        checked.mistakes += [_needs_multirun(one) for one in (*chosen, *others) if one.is_sweep_override()]
        others = [one for one in others if not one.is_sweep_override()]
        rows = rows[:1]
    if config is not None:
        checked.choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
        checked.mistakes += judge_loose(line.loose, plain(config).values, compositions.groups)
        checked.config = None if checked.multirun or checked.flags.cfg or checked.flags.help else config
    found: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if i > 0:
            config, lines = compositions.compose(row)
        for mistake in lines + (compositions.mistakes(config, others) if config is not None else []):
            found.setdefault(mistake, []).append(i)
    swept = {override.key_or_group for override in chosen if override.is_sweep_override()}
    for mistake, having in found.items():
        everywhere = len(set(having)) == len(rows)
        checked.mistakes.append(mistake if everywhere else mistake + _where([rows[i] for i in having], swept))


def _needs_multirun(override: Override) -> str:
    text = override.input_line or ""
    as_list = f"{override.get_key_element()}=[{override.get_value_string()}]"
    return f"{text}: several values are a sweep, which needs -m; a list is written {as_list}"


def _where(rows: list[list[Override]], swept: set[str]) -> str:
    """The swept choices that these sets have in common, or those of the first."""
    texts = [[str(one.input_line) for one in row if one.key_or_group in swept] for row in rows]
    common = [text for text in texts[0] if all(text in others for others in texts)]
    return f" (with {' '.join(common or texts[0])})"
