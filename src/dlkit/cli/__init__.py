"""The command `dlkit` and its subcommands."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

from dlkit import __version__, dist

# Each module has `main(args)`, and a docstring whose first line is its help.
COMMANDS = {
    "train": "dlkit.cli.train",
    "evaluate": "dlkit.cli.evaluate",
    "predict": "dlkit.cli.predict",
    "landscape": "dlkit.cli.landscape",
    "export": "dlkit.cli.export",
    "reproduce": "dlkit.cli.reproduce",
    "info": "dlkit.cli.info",
    "list": "dlkit.cli.list",
    "sweep": "dlkit.cli.sweep",
    "report": "dlkit.cli.report",
    "lectures": "dlkit.cli.lectures",
    "find-lr": "dlkit.cli.find_lr",
    "schedule": "dlkit.cli.schedule",
    "new": "dlkit.cli.new",
}


def main(argv: list[str] | None = None) -> None:
    """Runs a subcommand; a mistyped one is answered with the closest and exit code 2."""
    args = sys.argv[1:] if argv is None else argv
    first = args[0] if args else "--help"
    if first in ("-h", "--help", "help"):
        print(_help())
    elif first == "--version":
        print(f"dlkit {__version__}")
    elif first in ("-sc", "--shell-completion"):
        from dlkit.cli.completion import complete

        complete(args)
    elif first in COMMANDS and first != "train" and dist.world() > 1:
        if dist.rank() == 0:
            print(f"dlkit {first}: is for one process; several, begun by torchrun, only train", file=sys.stderr)
        raise SystemExit(2)
    elif first in COMMANDS:
        importlib.import_module(COMMANDS[first]).main(args[1:])
    else:
        print(_unknown(first, args), file=sys.stderr)
        raise SystemExit(2)


def _unknown(first: str, args: list[str]) -> str:
    from dlkit.cli.preflight.words import did_you_mean

    if "=" in first or first in ("-m", "--multirun"):
        return f"{first}: which command? did you mean dlkit train {' '.join(args)}?"
    return f"{first}: no such command{did_you_mean(first, COMMANDS) or '.'} dlkit has: {', '.join(COMMANDS)}"


def _help() -> str:
    first = {name: docstring(module).partition("\n")[0] for name, module in COMMANDS.items()}
    commands = "\n".join(f"  dlkit {name:<10} {line}" for name, line in first.items())
    return f"""dlkit: config-driven deep learning experiments.

Commands
{commands}

`dlkit COMMAND --help` explains one; `dlkit --version` shows the version.
Tab completion in bash: eval "$(dlkit -sc install=bash)\""""


def docstring(module: str) -> str:
    """A module's docstring, without importing the module; empty where there is none."""
    spec = find_spec(module)
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    return ast.get_docstring(ast.parse(source)) or ""
