"""Figures that must be reached. `DLKIT_DATA=… python -m benchmarks.accuracy [--out DIR] [--jobs N] [name …]`

Every row is run as separate `python -m dlkit train …` processes, over its seeds and, where it has them, its folds, each
fold with every seed. The figure is that of the test split: with the weights that were best on the validation split
where the experiment names a figure for that (`callbacks.checkpoint.monitor`), else with the last ones, at the end of a
schedule whose length was chosen on the validation split. Printed: mean ± standard deviation over all n runs, the goal,
and the median steps and seconds of training. A goal is a number, or what a scikit-learn baseline reaches in this same
run on the same splits, less a margin (benchmarks/baselines.py).

Exits with 1 where a goal is missed. Finished runs are kept in `--out` and not repeated while their config is unchanged
(of changes in the code it knows nothing: take another folder then).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks import baselines
from benchmarks.baselines import Baseline, compose_config

SMALL = "optim=adam scheduler=cosine data.batch_size=64 trainer.epochs=5"


@dataclass(frozen=True)
class Row:
    """What is run, and what it must reach; without a goal or a baseline it is only stated."""

    overrides: str = ""  # empty: experiment=<name of the row>
    goal: float | None = None  # least mean; with a margin too, the higher of both
    baseline: Baseline | None = None
    margin: float | None = None  # the mean must reach the baseline's figure less this; None: stated beside it
    seeds: int = 3
    folds: int = 0  # data.fold=0 … folds − 1 for each seed; 0: no folds
    metric: str = "accuracy"


WORDS, CHARACTERS, MFCC = baselines.words_svm, baselines.characters, baselines.mfcc_svm
SPEAKERS = "data.split=speakers data.folds=6"  # leave one speaker out
ROWS = {
    "digits": Row("data=digits", 0.96),
    "mnist_logreg": Row(f"data=mnist model=logreg {SMALL}", 0.921),
    "mnist_mlp": Row(f"data=mnist model=mlp {SMALL}", 0.977),
    "mnist_small_cnn": Row(f"data=mnist model=cnn {SMALL}", 0.989),
    "fashion_small_cnn": Row(f"data=fashion_mnist model=cnn {SMALL}", 0.905),
    "mnist_cnn": Row("experiment=mnist_cnn trainer.dtype=bfloat16", 0.996),
    "mnist_fast": Row(goal=0.99, seeds=5),
    "fashion_cnn": Row("experiment=fashion_cnn trainer.dtype=bfloat16", 0.935),
    "mr_cnn": Row(goal=0.761, baseline=WORDS, seeds=1, folds=10),  # CNN-rand of Kim 2014, table 2
    "trec_cnn": Row(goal=0.912, baseline=WORDS),  # the same
    "sst2_cnn": Row(baseline=WORDS, margin=0.005, seeds=5),
    "trec_lstm": Row(baseline=WORDS),
    "mr_lstm": Row(baseline=WORDS, seeds=1, folds=3),
    "newsgroups20_fasttext": Row(goal=0.681, baseline=WORDS, margin=0.02),  # 0.701 where the SVM has all 11,314 posts
    "fsdd_cnn": Row(goal=0.985, baseline=MFCC),
    "fsdd_lstm": Row(goal=0.97, baseline=MFCC),
    "fsdd_cnn_rnn": Row(goal=0.985, baseline=MFCC),
    "fsdd_cnn_speakers": Row(f"experiment=fsdd_cnn {SPEAKERS}", baseline=MFCC, seeds=1, folds=6),
    "speech_commands_subset": Row(baseline=MFCC),
    "adult_mlp": Row(baseline=baselines.boosting, margin=0.01),
    "california_mlp": Row(baseline=baselines.boosting, margin=0.03, metric="r2"),
    "cldr_names_lstm": Row(baseline=CHARACTERS, margin=0.0),
    "vowels_lstm": Row(baseline=MFCC, margin=0.0),
}


def folds(row: Row) -> list[list[str]]:
    """The overrides of each fold."""
    return [[f"data.fold={fold}"] for fold in range(row.folds)] or [[]]


def jobs(name: str, out: Path) -> list[list[str]]:
    """The command lines of a row's runs."""
    row = ROWS[name]
    what = (row.overrides or f"experiment={name}").split()
    return [
        [*what, *fold, f"seed={seed}", f"run_dir={out / name / str(number)}"]
        for number, (seed, fold) in enumerate(product(range(row.seeds), folds(row)))
    ]


def finished(overrides: list[str]) -> dict[str, Any] | None:
    """result.json of a run that is there, over, and has this very config."""
    cfg = compose_config(overrides)
    config, file = Path(cfg.run_dir) / "config.yaml", Path(cfg.run_dir) / "result.json"
    if not file.exists() or config.read_text() != OmegaConf.to_yaml(cfg, resolve=True):
        return None
    found = json.loads(file.read_text())
    return found if found["status"] in ("finished", "stopped") else None


def run(overrides: list[str]) -> dict[str, Any]:
    """result.json of a run, made now. Exits where it fails."""
    folder = Path(overrides[-1].removeprefix("run_dir="))
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run, or one with another config, has left
    command = [sys.executable, "-m", "dlkit", "train", *overrides]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
    return json.loads((folder / "result.json").read_text())


def figure(found: dict[str, Any], metric: str, best: bool) -> float:
    """The test figure with the last weights, or with those that were best on the validation split."""
    return (found["best"] if best else found)["metrics"][f"test/{metric}"]


def target(name: str) -> tuple[float | None, str]:
    """The least mean of a row, None where there is none, and how it is said, with what the baseline reaches."""
    row = ROWS[name]
    if row.baseline is None:
        return row.goal, "stated" if row.goal is None else f"≥ {row.goal}"
    what = (row.overrides or f"experiment={name}").split()
    reference = statistics.mean(row.baseline(compose_config([*what, *fold])) for fold in folds(row))
    goals = [] if row.goal is None else [row.goal]
    goals += [] if row.margin is None else [reference - row.margin]
    beside = f"{row.baseline.__name__} {reference:.4f}"
    return max(goals, default=None), f"≥ {max(goals):.4f} ({beside})" if goals else f"stated ({beside})"


def measured(name: str, out: Path, at_once: int) -> tuple[str, bool]:
    """A row of the table, and whether its goal is reached."""
    kept = [(overrides, finished(overrides)) for overrides in jobs(name, out)]  # composed here: Hydra knows one thread
    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(lambda one: one[1] or run(one[0]), kept))
    best = compose_config(kept[0][0]).callbacks.checkpoint.monitor != "val/loss"  # the experiment names one of its own
    values = [figure(one, ROWS[name].metric, best) for one in found]
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    goal, said = target(name)
    steps, seconds = (statistics.median(one[key] for one in found) for key in ("step", "seconds"))
    what = f"{mean:.4f} ± {deviation:.4f} (n={len(values)})"
    return f"| {name} | {what} | {said} | {steps:,.0f} steps, {seconds:.1f} s |", goal is None or mean >= goal


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"rows: {', '.join(ROWS)}; none: all")
    parser.add_argument("--out", type=Path, help="folder in which runs are kept (a temporary one)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once (1)")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    missed = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in asked.names or ROWS:
            line, reached = measured(name, (asked.out or Path(temporary)).resolve(), asked.jobs)
            print(line, flush=True)
            missed += [] if reached else [name]
    if missed:
        sys.exit(f"below the goal: {', '.join(missed)}")


if __name__ == "__main__":
    main()
