"""Suggest a learning rate by a range test: `dlkit find-lr model=cnn data=mnist optim=sgd` prints optim.lr=…

Takes the options of `dlkit train`. Trains some steps while the rate rises, and suggests a tenth of the rate at which
the mean loss was least; try three times more and less, too. Gradient clipping, regulariser, precision and factors of
layers act as in training; the schedule, averaging, other callbacks and the run's length and folder have no effect. The
picture is all that is written. Exit code 1 where the loss shows no rate to suggest.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from dlkit.cli import preflight
from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered
from dlkit.plots.rates import range_test
from dlkit.plots.style import save
from dlkit.settings import config_folder

if TYPE_CHECKING:
    from dlkit.lr_range import Curve

FORMATS = (".png", ".svg", ".pdf")


def main(args: list[str] | None = None) -> None:
    """Checks the command line, runs the test, prints the rate and writes the picture; exits with 2 for a mistake."""
    flags, checked = _read(args)
    with answered():
        cfg = _judged(flags, checked)
        curve = measure(cfg, low=flags.low, high=flags.high, steps=flags.steps)
        title = " ".join(f"{group}={checked.choices[group]}" for group in ("data", "model", "optim"))
        save(range_test(curve.rates, curve.losses, curve.smoothed, curve.suggestion, title), flags.out)
    if curve.suggestion is not None:
        print(f"optim.lr={curve.suggestion:g}")
    least, rate = curve.least
    end = "did not diverge" if curve.stopped is None else f"diverged at {curve.stopped:.2g}"
    print(f"least loss {least:.4g} at {rate:.2g}; {end}; {len(curve.rates)} steps: {flags.out}")
    if curve.suggestion is None:
        print(f"no rate to suggest: {curve.why}", file=sys.stderr)
        raise SystemExit(1)


def measure(cfg: DictConfig, *, low: float, high: float, steps: int) -> Curve:
    """The range test of what the config builds."""
    from dlkit.build import build  # torch: 0.8 s, which a mistyped command does not pay
    from dlkit.lr_range import lr_range

    return lr_range(build(cfg, Path()), low=low, high=high, steps=steps)


def _read(args: list[str] | None) -> tuple[argparse.Namespace, preflight.Checked]:
    """The command's own flags, and what the other words mean."""
    parser = Parser("find-lr", __doc__)
    parser.usage = "dlkit find-lr [OPTION=VALUE …] [--from RATE] [--to RATE] [--steps N] [--out FILE]"
    parser.add_argument("--from", dest="low", type=float, default=1e-5, metavar="RATE", help="first rate, 1e-5")
    parser.add_argument("--to", dest="high", type=float, default=10.0, metavar="RATE", help="last rate, 10")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="optimiser steps, 100; 10 or more")
    parser.add_argument(
        "--out", type=Path, default=Path("lr-range.png"), help="picture: .png, .svg or .pdf", metavar="FILE"
    )
    flags, words = parser.parse_known_args(args)
    return flags, preflight.check(words, config_folder())


def _judged(flags: argparse.Namespace, checked: preflight.Checked) -> DictConfig:
    """The config. Raises ValueError for flags that make no sense, or that do not go together."""
    if not 0 < flags.low < flags.high < math.inf:
        raise ValueError(f"dlkit find-lr: --from {flags.low:g} --to {flags.high:g}: give rates 0 < --from < --to")
    if flags.steps < 10:
        raise ValueError(f"dlkit find-lr: --steps {flags.steps}: too few to show anything; give 10 or more")
    if flags.out.suffix.lower() not in FORMATS or not flags.out.parent.is_dir():
        what = f"must end in {', '.join(FORMATS)}" if flags.out.parent.is_dir() else "there is no such folder"
        raise ValueError(f"dlkit find-lr: --out {flags.out}: {what}")
    if checked.multirun:
        raise ValueError("dlkit find-lr: tests one config, not a sweep; leave out -m")
    if checked.mistakes or checked.config is None:
        preflight.refuse(
            checked.mistakes or ["dlkit find-lr: takes the options of a run; dlkit find-lr --help explains"]
        )
    for key in ("resume", "dry_run"):
        if checked.config[key]:
            raise ValueError(f"{key}={checked.config[key]}: has no meaning for dlkit find-lr; leave it out")
    return checked.config
