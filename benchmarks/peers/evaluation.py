"""Microseconds an example in evaluation, at every batch size, beside the size that dlkit chooses."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.peers.contest import Contestant, Round, once, turns
from benchmarks.peers.material import MODELS
from benchmarks.peers.report import median, ratio, spread

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
OWN = 0  # what dlkit chooses
GOAL = 1.10
TEXT = """Microseconds an example of dlkit's evaluation (loss and metrics) of 6,000 MNIST images, or 6,400 texts, in
batches of each size, and in those that dlkit chooses by itself whatever `data.batch_size` is; sizes take turns in one
process."""


def measure(quick: bool) -> dict[str, Any]:
    """A row for each size."""
    place = "benchmarks.peers.evaluation:evaluated"
    found = {model: once(Contestant(place, 3 if quick else 9, {"model": model})) for model in MODELS}
    goals = []
    for model, times in found.items():
        best = min(SIZES, key=lambda size: median(times[size]))
        name = f"{model}: dlkit's choice ÷ the best size ({best})"
        goals.append([name, ratio(times[OWN], times[best]), GOAL, "<="])
    rows = [
        ["dlkit's own" if size == OWN else size, *(spread(found[model][size]) for model in MODELS)]
        for size in (*SIZES, OWN)
    ]
    return {"title": "Evaluation", "text": TEXT, "head": ["batch", *MODELS], "rows": rows, "goals": goals}


def evaluated(model: str) -> Round:
    """A Round: so many evaluations of every size, to {size: µs an example of each}."""
    from benchmarks.peers.loops import experiment, words
    from dlkit.data import batches
    from dlkit.trainer import evaluate

    folder = Path(tempfile.mkdtemp())
    run = experiment(words(model, False, folder), folder)
    split, own = ("train" if model == "LSTM" else "val"), batches.eval_size

    def evaluation(size: int) -> float:
        batches.eval_size = own if size == OWN else lambda *_: size
        start = perf_counter()
        evaluate(run.engine, run.state.model, run.data.eval(split), split)
        return 1e6 * (perf_counter() - start) / run.data.split_sizes[split]

    return lambda rounds: turns({size: partial(evaluation, size) for size in (*SIZES, OWN)}, rounds)
