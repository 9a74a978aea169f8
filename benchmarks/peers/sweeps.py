"""Seconds of sweeps of small models, from the first job's start to the last result written."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.contest import Child, Contestant, Round, turns
from benchmarks.peers.material import Batches, mlp
from benchmarks.peers.report import ratio, spread
from benchmarks.peers.rivals import lightning_module, lightning_trainer
from benchmarks.peers.startup import digits_file

EPOCHS, BATCH, TRAINING = 20, 32, 1294  # as dlkit trains on digits
SMALL, WIDE = (32,), (256, 128)  # hidden units
CASES = {"16 jobs": (16, SMALL, 3), "64 jobs": (64, SMALL, 1), "16 wide ones": (16, WIDE, 1)}  # jobs, net, rounds
GOALS = {"16 jobs": (8, 3), "64 jobs": (15, 6)}  # Lightning, the local launcher
LIGHTNING, HAND = "Lightning, one after another", "stacked by hand, bare"
LOCAL, STACKED = "dlkit, local", "dlkit, stacked"
TEXT = """Seconds for MLPs on digits (64-32-10; the wide ones 64-256-128-10, whose arithmetic, not the framework, takes
the time), 20 epochs at batch 32, that differ in their seed: from the plan of the sweep (`sweep.json`) to the last
`result.json`, each job with its folder, log, TensorBoard file and checkpoints.
Lightning trains them in one process, one after another, each with its logger and checkpoint in a folder of its own,
imports not counted. The bare loop trains all as one model with `baddbmm` and fused Adam; it neither evaluates nor
writes."""


def measure(quick: bool) -> dict[str, Any]:
    """A column for each case."""
    found = {name: raced(jobs, hidden, 1 if quick else rounds) for name, (jobs, hidden, rounds) in CASES.items()}
    ways = [way for way in (LIGHTNING, LOCAL, STACKED, HAND) if any(way in times for times in found.values())]
    rows = [[way, *(spread(times.get(way)) for times in found.values())] for way in ways]
    goals = []
    for name, bounds in GOALS.items():
        for other, bound in zip((LIGHTNING, LOCAL), bounds, strict=True):
            goals.append(
                [f"{name}: {other} ÷ stacked", ratio(found[name].get(other), found[name].get(STACKED)), bound, ">="]
            )
    return {"title": "Sweeps", "text": TEXT, "head": ["seconds", *CASES], "rows": rows, "goals": goals}


def raced(jobs: int, hidden: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    """Seconds of every way; those that are not there are left out."""
    places = {HAND: "bare"} | ({LIGHTNING: "lightning"} if find_spec("lightning") else {})
    made = {
        name: Contestant(f"benchmarks.peers.sweeps:{place}", jobs, {"hidden": hidden}) for name, place in places.items()
    }
    children = {name: Child(contestant) for name, contestant in made.items()}
    for child in children.values():
        child.ask(1)  # warms up
    works = {name: partial(child.ask, jobs) for name, child in children.items()}
    works |= {name: partial(swept, jobs, name.split()[-1], hidden) for name in (LOCAL, STACKED)}
    found = turns(works, rounds, warm_up=False)
    for child in children.values():
        child.close()
    return found


def swept(jobs: int, launcher: str, hidden: tuple[int, ...] = SMALL, epochs: int = EPOCHS) -> float:
    """Seconds from the plan to the last result of a sweep of dlkit, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        net = f"model.hidden=[{','.join(map(str, hidden))}]"
        words = ["data=digits", "model=mlp", net, f"trainer.epochs={epochs}", f"seed=range({jobs})"]
        command = [sys.executable, "-m", "dlkit", "train", "-m", *words, f"hydra/launcher={launcher}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        results = [path.stat().st_mtime for path in Path(folder).rglob("result.json")]
        if done.returncode or len(results) != jobs:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        (plan,) = Path(folder).rglob("sweep.json")
        return max(results) - plan.stat().st_mtime


def digits() -> tuple[Tensor, Tensor]:
    """As many examples as dlkit trains on, and the rest, in [0, 1]."""
    import numpy as np

    table = torch.from_numpy(np.loadtxt(digits_file(), delimiter=",", dtype=np.float32))
    return table[:, :-1] / 16, table[:, -1].long()


def lightning(hidden: tuple[int, ...]) -> Round:
    """A Round: so many jobs, to seconds."""
    x, y = digits()
    train = Batches(x[:TRAINING], y[:TRAINING], batch_size=BATCH)
    val = Batches(x[-144:], y[-144:], batch_size=144)  # as large as dlkit's

    def work(jobs: int) -> float:
        start = perf_counter()
        with tempfile.TemporaryDirectory() as place:
            for seed in range(jobs):
                torch.manual_seed(seed)
                trainer = lightning_trainer(f"{place}/{seed}", max_epochs=EPOCHS)
                trainer.fit(lightning_module(mlp(*hidden, inputs=64)), train, val)
            return perf_counter() - start

    return work


def bare(hidden: tuple[int, ...]) -> Round:
    """A Round: so many replicas trained as one model, to seconds."""
    from benchmarks.peers.loops import keep_freed_memory

    keep_freed_memory()
    x, y = digits()

    def work(replicas: int) -> float:
        start = perf_counter()
        stacked(x[:TRAINING], y[:TRAINING], replicas, EPOCHS, hidden)
        return perf_counter() - start

    return work


def stacked(x: Tensor, y: Tensor, replicas: int, epochs: int, hidden: tuple[int, ...] = SMALL) -> None:
    """Trains them, each on an order of its own."""
    layers = [layer for _ in range(replicas) for layer in mlp(*hidden, inputs=64) if isinstance(layer, nn.Linear)]
    depth = len(layers) // replicas
    weights = [
        torch.stack([layer.weight.detach().T for layer in layers[i::depth]]).requires_grad_() for i in range(depth)
    ]
    biases = [
        torch.stack([layer.bias.detach()[None] for layer in layers[i::depth]]).requires_grad_() for i in range(depth)
    ]
    optimizer = torch.optim.Adam([*weights, *biases], fused=True)
    for _ in range(epochs):
        orders = torch.rand(replicas, len(y)).argsort(1)
        for chosen in orders.split(BATCH, 1)[: len(y) // BATCH]:
            out = x[chosen]  # (K, B, 64)
            for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                out = torch.baddbmm(bias, out, weight)
                out = out.relu() if i < depth - 1 else out
            optimizer.zero_grad()
            (F.cross_entropy(out.flatten(0, 1), y[chosen].flatten(), reduction="sum") / BATCH).backward()
            optimizer.step()
