"""The flags of the commands that take flags."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from dlkit.cli import preflight
from dlkit.cli.preflight.words import did_you_mean


class Parser(argparse.ArgumentParser):
    """An argparse parser of `dlkit <command>`; its help is a module's docstring, a mistake one line and exit code 2.

    parser = Parser("evaluate", __doc__)
    parser.add_run()
    parser.add_argument("--split", help="…")
    flags = parser.parse_args(args)
    """

    def __init__(self, command: str, doc: str | None):
        super().__init__(
            prog=f"dlkit {command}",
            description=(doc or "").strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_run(self) -> None:
        """The run, and what every command that uses its model takes."""
        self.add_argument("run", metavar="RUN", help="a run's folder, or latest: the newest under outputs")
        self.add_argument("--weights", metavar="NAME", help="checkpoint: last, best, average, best-STEP, step-STEP")
        self.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="default: the run's own")
        self.add_argument("--trust", action="store_true", help="let the run's config name any code")

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        for action in self._actions:
            action.required = action.required and action.nargs != "*"  # argparse would call these required too
        flags, rest = self.parse_known_intermixed_args(args, namespace)
        if rest:
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"{rest[0]}: no such option{did_you_mean(rest[0].partition('=')[0], known)}")
        return flags

    def error(self, message: str) -> NoReturn:
        preflight.refuse([f"{self.prog}: {message}; {self.prog} --help explains"])
