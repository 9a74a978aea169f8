"""Finds every mistake of a command line before Hydra makes a folder. Imports neither torch nor anything that does."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
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
from dlkit.cli.preflight.overrides import parse, singles
from dlkit.cli.preflight.points import Condition, Points, conditions_of
from dlkit.cli.preflight.sweeps import hydras_own, is_drawn, is_local, of_jobs, of_plugins, one_value, params
from dlkit.cli.preflight.words import did_you_mean
from dlkit.sweeps.compose import Composer

MOST_COMPOSITIONS = 64  # of a sweep over groups, about 50 ms each
FOR_SEARCH = "is for a search, hydra/sweeper=optuna; a sweep wants values, a,b,c or range(a,b,step)"


@dataclass
class Checked:
    """What a command line means, and what is wrong with it."""

    flags: argparse.Namespace  # Hydra's
    argv: list[str]  # for Hydra: flags first, which it needs, then overrides
    mistakes: list[str] = field(default_factory=list)
    causes: list[BaseException] = field(default_factory=list)  # behind mistakes: failed imports
    overrides: list[str] = field(default_factory=list)  # key=value, as Hydra's grammar takes them
    multirun: bool = False
    choices: dict[str, str] = field(default_factory=dict)  # group -> the file chosen
    config: DictConfig | None = None  # of a single run that will train; without the node `hydra`
    points: Points | None = None  # of a sweep: its jobs
    wrong: list[Condition] = field(default_factory=list)  # which of them have mistakes
    composer: Composer | None = None  # of their configs, where nothing is wrong with the line as a whole
    local: bool = True  # whether they will run on this machine
    hydra: Any = None  # of a sweep: Hydra's own node

    @property
    def trains_sweep(self) -> bool:
        """Whether jobs are to be run."""
        return self.multirun and not (self.flags.cfg or self.flags.help)

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
    wrong = [f"{mistake.partition('=')[0]}: needs a value" for mistake in checked.mistakes if "=" in mistake]
    checked.mistakes = [mistake for mistake in dict.fromkeys(checked.mistakes) if mistake not in wrong]
    if checked.trains_sweep and not flags.multirun:  # an experiment's file says so
        checked.argv.insert(0, "-m")
    return checked


def check_saved(args: list[str], config: dict[str, Any]) -> Checked:
    """As `check`, for options that change the config of a run, given as `runs.read_config` read it, here completed.

    Hydra is shown a copy, for in the folder of a run, which may be a stranger's, it would find other files too.
    """
    with TemporaryDirectory() as folder:
        OmegaConf.save(runs.completed(config), Path(folder) / "config.yaml")
        return check(args, folder, "config")


def refuse(mistakes: list[str], causes: list[BaseException] | None = None, most: int = 3) -> NoReturn:
    """Says what is wrong on stderr, after the tracebacks of `causes`, and ends the program with exit code 2."""
    for cause in causes or ():
        traceback.print_exception(cause)
    sys.stderr.write("\n".join(summary(mistakes, most)) + "\n")
    raise SystemExit(2)


def summary(mistakes: list[str], most: int = 3) -> list[str]:
    """One line a mistake; of more than so many, the first and a count."""
    if len(mistakes) <= most:
        return mistakes
    return [*mistakes[: most - 1], f"... and {len(mistakes) - most + 1} more mistakes"]


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
    """Fills in the mistakes, the mode and the config, or the points of a sweep."""
    groups = Groups(hydra.config_loader)
    if config_name not in groups.choices(""):
        hint = did_you_mean(config_name, groups.choices(""))
        checked.mistakes.append(f"--config-name {config_name}: no such config{hint}")
        return
    judge = Judge(trains=not (checked.flags.cfg or checked.flags.help))
    compositions = Compositions(hydra, config_name, groups, judge)
    chosen, others = _sorted(line.overrides, groups, checked)
    config, _ = compositions.compose([singles(override)[0] for override in chosen])
    if config is not None:
        checked.mistakes += judge_loose(line.loose, plain(config).values, groups)
        config.hydra = hydras_own(config, others)
        checked.multirun |= config.hydra.mode == RunMode.MULTIRUN
        more = _sorted(params(config, checked.overrides) if checked.multirun else [], groups, checked)
        chosen, others = more[0] + chosen, more[1] + others
    if checked.multirun and config is not None:
        (chosen, first), (others, second) = one_value(chosen), one_value(others)
        checked.mistakes += [*of_plugins(config), *first, *second]
        drawn = is_drawn(config)
        intervals = [one for one in others if one.is_interval_sweep() and not drawn]
        checked.mistakes += [f"{one.input_line}: {FOR_SEARCH}" for one in intervals]
        others = [one for one in others if one not in intervals]
        checked.points = Points(of_jobs([*chosen, *others], config, line.overrides), drawn)
        checked.local, checked.hydra = is_local(config), config.hydra
    checked.composer = compositions.composer if not checked.mistakes else None  # else what is asked for is not known
    _judge_compositions(compositions, chosen, others, checked)
    checked.causes = judge.causes


def _sorted(texts: list[str], groups: Groups, checked: Checked) -> tuple[list[Override], list[Override]]:
    """The right choices from groups, and the other options; mistakes are noted."""
    parsed, wrong = parse(texts, groups.loader)
    checked.mistakes += wrong
    chosen: list[Override] = []
    others: list[Override] = [override for override in parsed if not groups.is_group(override)]
    for override in parsed:
        if groups.is_group(override) and not (wrong := groups.judge(override)):
            chosen.append(override)
        elif groups.is_group(override):
            checked.mistakes += wrong
            # what its options are for is not known, so they are left alone
            others = [other for other in others if other.key_or_group.split(".")[0] != override.key_or_group]
    return chosen, others


def _judge_compositions(
    compositions: Compositions, chosen: list[Override], others: list[Override], checked: Checked
) -> None:
    """Judges every set of choices, and every value of a sweep with each; says which jobs a mistake concerns."""
    if not checked.multirun:
        checked.mistakes += [_needs_multirun(one) for one in (*chosen, *others) if one.is_sweep_override()]
        chosen = [singles(one)[0] for one in chosen]
        others = [one for one in others if not one.is_sweep_override()]
        named = [one for one in others if one.key_or_group == "sweep" and one.value() is not None]
        checked.mistakes += [f"{one.input_line}: names a sweep, which needs -m" for one in named]
    rows = combinations(chosen, MOST_COMPOSITIONS)
    by_row: dict[Condition, dict[str, list[Condition]]] = {}
    for row in rows:
        config, lines = compositions.compose(row)
        told: list[tuple[str, Condition]] = [(line, frozenset()) for line in lines]
        if config is not None and row is rows[0]:
            checked.choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
            checked.config = None if checked.multirun or checked.flags.cfg or checked.flags.help else config
        told += compositions.mistakes(config, others) if config is not None else []
        swept = frozenset(str(one.input_line) for one, of in zip(row, chosen, strict=True) if of.is_sweep_override())
        by_row[swept] = {mistake: [needs for line, needs in told if line == mistake] for mistake, _ in told}
    whole = len(rows) == prod(len(singles(one)) for one in chosen)
    for mistake, conditions in conditions_of(by_row, whole).items():
        points = checked.points
        checked.mistakes.append(points.told(mistake, points.having(conditions)) if points else mistake)
        checked.wrong += conditions


def _needs_multirun(override: Override) -> str:
    text = override.input_line or ""
    as_list = f"{override.get_key_element()}=[{override.get_value_string()}]"
    return f"{text}: several values are a sweep, which needs -m; a list is written {as_list}"
