"""Draw the learning rate over a run: `dlkit schedule scheduler=cosine scheduler.warmup_steps=0.1 --out lr.png`.

Takes the options of `dlkit train` and trains nothing: it reads the data, which says how many steps an epoch has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig

from dlkit.cli import preflight
from dlkit.plots.rates import schedule
from dlkit.plots.style import save
from dlkit.settings import config_folder


def main(args: list[str] | None = None) -> None:
    """Checks the command line, prints first, highest and last rate, and writes the picture; 2 for a mistake."""
    words = list(sys.argv[1:] if args is None else args)
    if {"-h", "--help"} & set(words):
        print((__doc__ or "").strip() + "\n\n  --out FILE   the picture, schedule.png if left out; .svg and .pdf too")
        return
    try:
        out = _take_out(words)
        checked = preflight.check(words, config_folder())
        if checked.multirun:
            raise ValueError("dlkit schedule: draws one run, not a sweep; leave out -m")
        if checked.mistakes or checked.config is None:
            preflight.refuse(checked.mistakes or ["dlkit schedule: takes the options of a run, and --out FILE"])
        rates, steps_per_epoch = rates_of(checked.config)
        save(schedule(rates, steps_per_epoch, _title(checked.config)), out)
    except (ValueError, OSError) as error:
        preflight.refuse([str(error)])
    peak = max(rates)
    print(f"first {rates[0]:.4g}, highest {peak:.4g} at step {rates.index(peak) + 1:,}, last {rates[-1]:.4g}")
    print(f"{len(rates):,} steps, {len(rates) / steps_per_epoch:.4g} epochs of {steps_per_epoch:,}: {out}")


def rates_of(cfg: DictConfig) -> tuple[list[float], int]:
    """The rate of every step, and the steps of an epoch. Raises ValueError for a run without end."""
    import torch
    from hydra.utils import instantiate

    from dlkit.build import OPEN_END, run_length
    from dlkit.parts import build_data, build_schedule

    trainer = instantiate(cfg.trainer)
    steps_per_epoch = build_data(cfg, trainer, torch.device("cpu")).steps_per_epoch
    total = run_length(trainer, steps_per_epoch)
    if total == OPEN_END:
        raise ValueError("dlkit schedule: this run has no length to draw: set trainer.epochs or trainer.max_steps")
    schedule = build_schedule(cfg, total, steps_per_epoch)
    return [cfg.optim.lr * schedule(step) for step in range(total)], steps_per_epoch


def _title(cfg: DictConfig) -> str:
    """The schedule, the base rate, and the options that count."""
    name = str(cfg.scheduler._target_).rpartition(".")[2]
    options = {str(key): value for key, value in cfg.scheduler.items() if not str(key).startswith("_")}
    if not options["warmup_steps"]:
        options = {key: value for key, value in options.items() if not key.startswith("warmup")}
    elif options["warmup"] != "constant":
        options.pop("warmup_factor")
    return ", ".join([f"scheduler={name}", f"lr={cfg.optim.lr:g}", *(f"{key}={options[key]}" for key in options)])


def _take_out(words: list[str]) -> Path:
    """Takes `--out FILE` or `--out=FILE` from the words."""
    for i, word in enumerate(words):
        if word == "--out" and i + 1 == len(words):
            raise ValueError("--out: needs a value, the picture's file")
        if word == "--out":
            path = Path(words[i + 1])
            del words[i : i + 2]
            return path
        if word.startswith("--out="):
            del words[i]
            return Path(word.partition("=")[2])
    return Path("schedule.png")
