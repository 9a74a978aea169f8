"""Reads a command line into Hydra's flags, overrides (`key=value`), and words that are neither.

Hydra's own parser stops at the first word that it does not know; here all of them are kept, to be answered together.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path

from hydra._internal.utils import get_args_parser

from dlkit.cli.preflight.overrides import quoted
from dlkit.cli.preflight.words import closest, did_you_mean

NUMBER = re.compile(r"^-\.?\d")  # `-1` is a value, not a flag
COMMANDS = ("run", "multirun", "cfg", "info", "shell_completion")  # Hydra does one of these


@dataclass(frozen=True)
class Word:
    """Something that is neither a flag nor an override: as typed, and without its dashes."""

    typed: str
    text: str


@dataclass
class Line:
    """A command line, read."""

    flags: argparse.Namespace
    flag_args: list[str]  # the flags as typed
    overrides: list[str] = field(default_factory=list)
    loose: list[list[Word]] = field(default_factory=list)  # runs of neighbours: `data mnist` is one
    mistakes: list[str] = field(default_factory=list)

    @property
    def argv(self) -> list[str]:
        """Flags first: Hydra does not understand flags between overrides."""
        return self.flag_args + self.overrides


def read(args: list[str]) -> Line:
    """The command line, and what is wrong with its flags."""
    parser = get_args_parser()
    actions = {name: action for action in parser._actions for name in action.option_strings}
    flag_args: list[str] = []
    words: list[Word | None] = []  # None parts neighbours
    mistakes: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        name = arg.partition("=")[0]
        if not arg.startswith("-") or NUMBER.match(arg):
            words.append(Word(arg, arg))
        elif name in actions:
            words.append(None)
            _take_flag(arg, actions[name], rest, flag_args, mistakes)
        elif name.startswith("--") and (match := closest(name, actions, cutoff=0.8)):
            mistakes.append(f"{name}: no such flag; did you mean {match}?")
        else:
            words += [None, *_without_dashes(arg, rest), None]
    line = Line(parser.parse_args(flag_args), flag_args, mistakes=mistakes)
    line.mistakes += _judge_flags(line.flags)
    _sort_words(words, line)
    return line


def _take_flag(arg: str, action: argparse.Action, rest: list[str], flag_args: list[str], mistakes: list[str]) -> None:
    """Moves a flag and its value to `flag_args`, written as one word."""
    name, equals, value = arg.partition("=")
    if action.nargs == 0:  # takes no value
        flag_args.append(arg)
        return
    if not equals:
        optional = action.nargs == "?"
        value = str(action.const) if optional else ""
        if rest and (rest[0] in (action.choices or ()) if optional else not rest[0].startswith("-")):
            value = rest.pop(0)
    if not value:
        mistakes.append(f"{name}: needs a value")
    elif action.choices is not None and value not in action.choices:
        choices = list(action.choices)
        mistakes.append(f"{name} {value}: must be one of {', '.join(choices)}{did_you_mean(value, choices)}")
    else:
        flag_args.append(f"{action.option_strings[0]}={value}")


def _without_dashes(arg: str, rest: list[str]) -> list[Word]:
    """`--data=mnist` or `--data mnist`, which other programs want, as the words `data` and `mnist`."""
    name, equals, value = arg.lstrip("-").partition("=")
    if equals:
        return [Word(arg, name), Word("", value)]
    if rest and "=" not in rest[0] and (not rest[0].startswith("-") or NUMBER.match(rest[0])):
        return [Word(arg, name), Word(rest[0], rest.pop(0))]
    return [Word(arg, name)]


def _judge_flags(flags: argparse.Namespace) -> list[str]:
    mistakes = []
    given = ["--" + name.replace("_", "-") for name in COMMANDS if getattr(flags, name)]
    if len(given) > 1:
        mistakes.append(f"{given[0]} and {given[1]} cannot be used together")
    if flags.resolve and not flags.cfg:
        mistakes.append("--resolve: only together with --cfg")
    if flags.config_path:
        mistakes.append("--config-path: would hide dlkit's own groups; add a folder of yours with --config-dir")
    if flags.config_dir and not Path(flags.config_dir).is_dir():
        mistakes.append(f"--config-dir {flags.config_dir}: there is no such folder")
    return mistakes


def _sort_words(words: list[Word | None], line: Line) -> None:
    """Words to overrides, to runs of loose words, or to a mistake where a space has cut one into pieces."""
    run: list[Word] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word is not None and run and word.text.startswith("="):  # `lr =0.1`, `lr = 0.1`
            run += [Word(word.typed, word.text[1:])] if len(word.text) > 1 else []
            continue
        if word is None or _is_override(word):
            line.loose += [run] if run else []
            run = []
        if word is None:
            continue
        if not _is_override(word):
            run.append(word)
        elif whole := _reunite(word, rest):
            line.mistakes.append(f"{whole}: write it without spaces")
        else:
            line.overrides.append(quoted(word.text))
    line.loose += [run] if run else []


def _is_override(word: Word) -> bool:
    return "=" in word.text or word.text.startswith("~")


def _reunite(word: Word, rest: list[Word | None]) -> str:
    """`lr=` `0.1` or `hidden=[64,` `32]` as one word; nothing where the word is whole."""
    whole = word.text
    while rest and (following := rest[0]) is not None and (whole.endswith("=") or _is_open(whole)):
        if "=" in following.text:
            break
        whole += following.text
        rest.pop(0)
    return whole if whole != word.text else ""


def _is_open(text: str) -> bool:
    return any(text.count(left) > text.count(right) for left, right in ("[]", "{}", "()"))
