"""Peak memory of a run, beside that of the loop written by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.peers.contest import Contestant, Round, once

MODELS = ("MLP", "CNN", "LSTM")
STEPS, GOAL = 30, 1.15
TEXT = """MiB of peak resident memory, less what the process had before it read data (the libraries, and one tiny run
that imports whatever is imported late). dlkit is a whole run: all splits of the data, training, evaluations,
checkpoints. The loop written by hand has the same examples, a model, Adam's moments and the activations of its steps,
and evaluates in batches as large as in training."""


def measure(quick: bool) -> dict[str, Any]:
    """Peaks of both, and their ratio; one run of each, as a peak hardly varies."""
    rows, goals = [], []
    for model in MODELS:
        options = {"model": model}
        by_hand, dlkit = (
            once(Contestant(f"benchmarks.peers.memory:{name}", STEPS, options)) for name in ("hand", "run")
        )
        rows.append([model, by_hand, dlkit, f"{dlkit / by_hand:.2f}"])
        goals.append([f"{model}: peak memory of dlkit ÷ loop by hand", dlkit / by_hand, GOAL, "<="])
    head = ["MiB", "loop by hand", "dlkit", "ratio"]
    return {"title": "Memory", "text": TEXT, "head": head, "rows": rows, "goals": goals}


def hand(model: str) -> Round:
    """The limit's loop, all examples of the set in memory."""
    import torch

    from benchmarks.peers import loops, material

    loops.keep_freed_memory()
    optimizer = torch.optim.Adam([torch.zeros(2, requires_grad=True)], fused=True)  # imports what is imported late
    del optimizer

    def work(steps: int) -> float:
        before = settle()
        x, y = material.texts() if model == "LSTM" else material.mnist()
        rest = (x[:0], y[:0]) if model == "LSTM" else material.mnist("t10k")
        net = material.network(model)
        if model == "CNN":
            net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(net.parameters(), fused=True)
        batches = loops.by_length(x, y) if model == "LSTM" else loops.gathered(x, y)
        for _ in range(steps):
            x_batch, y_batch = next(batches)
            optimizer.zero_grad()
            material.loss(net(x_batch), y_batch).backward()
            optimizer.step()
        with torch.no_grad():
            for part in (rest[0] if len(rest[0]) else x).split(material.BATCH):
                net(part)
        return peak() - before

    return work


def run(model: str) -> Round:
    """A run of dlkit as from the command line."""
    import tempfile

    import dlkit
    from benchmarks.peers.loops import words

    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    dlkit.train(["data=digits", "trainer.max_steps=2", "trainer.allocator=false"])  # what it sets stays set

    def work(steps: int) -> float:
        options = words(model, False, folder)
        before = settle()
        dlkit.train([*options, f"trainer.max_steps={steps}"])
        return peak() - before

    return work


def settle() -> float:
    """Forgets the peak so far; MiB resident now."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> float:
    """MiB resident at most since `settle`."""
    return _status("VmHWM")


def _status(field: str) -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024
