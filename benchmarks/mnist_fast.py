"""`experiment=mnist_fast` beside the same recipe by hand. `DLKIT_DATA=… python -m benchmarks.mnist_fast [--quick]`

1. dlkit: the command, with everything it logs and saves.
2. By hand: one script of that recipe and nothing else, with the same settings (allocator, channels_last, bfloat16).
3. Plain: the same script in float32 with none of these settings, as a good user would write it.

Seconds of training steps, loading and final figures left out; rounds are interleaved, each with its own seed, every run
in a process of its own. Wants CPUs that nothing else uses.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.report import markdown

ROUNDS = 5
BATCH, RATE, BETAS, SMOOTHING = 256, 0.01, (0.7, 0.9), 0.1
WAYS = ("dlkit", "by hand", "plain float32")


def by_hand(seed: int, fast: bool) -> dict[str, float]:
    """One epoch of the recipe; `fast` with dlkit's settings. Seconds of training, accuracy on the test split."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    from dlkit.data.images.known import mnist
    from dlkit.runtime import keep_freed_memory

    if fast:
        keep_freed_memory()
    splits = mnist(root=os.environ.get("DLKIT_DATA", "data"), download=False).splits
    (pixels, labels), (test_pixels, test_labels) = splits["train"], splits["test"]
    mean, std = pixels.float().mean(), pixels.float().std()
    x, test_x = (pixels.float() - mean) / std, (test_pixels.float() - mean) / std
    memory_format = torch.channels_last if fast else torch.contiguous_format
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(1, 24, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 256), nn.ReLU(), nn.Linear(256, 10)),
    ).to(memory_format=memory_format)
    optim = torch.optim.Adam(model.parameters(), lr=RATE, betas=BETAS, fused=True)
    steps = len(x) // BATCH
    begin = time.perf_counter()
    for step, chosen in enumerate(torch.randperm(len(x))[: steps * BATCH].split(BATCH)):
        optim.param_groups[0]["lr"] = RATE * one_cycle(step / steps)
        optim.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            out = model(x[chosen].contiguous(memory_format=memory_format))
        F.cross_entropy(out.float(), labels[chosen], label_smoothing=SMOOTHING).backward()
        optim.step()
    seconds = time.perf_counter() - begin
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
        out = torch.cat([model(part.contiguous(memory_format=memory_format)) for part in test_x.split(250)])
    return {"seconds": seconds, "accuracy": (out.argmax(1) == test_labels).float().mean().item()}


def one_cycle(s: float, rise: float = 0.3, start: float = 0.04) -> float:
    """The factor on the rate after the fraction `s` of the run, as `scheduler=one_cycle` has it."""
    if s < rise:
        return 1 + (start - 1) / 2 * (1 + math.cos(math.pi * s / rise))
    return (1 + math.cos(math.pi * (s - rise) / (1 - rise))) / 2


def run(way: str, seed: int) -> dict[str, float]:
    """One of `WAYS` in a process of its own: seconds of training, accuracy, and seconds from command to end."""
    begin = time.perf_counter()
    if way == "dlkit":
        with tempfile.TemporaryDirectory() as folder:
            words = ["experiment=mnist_fast", "trainer.device=cpu", f"seed={seed}", "run_dir=run"]
            words.append(f"data.root={Path(os.environ.get('DLKIT_DATA', 'data')).resolve()}")
            command = [sys.executable, "-m", "dlkit", "train", *words]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            result = json.loads((Path(folder) / "run" / "result.json").read_text())
            found = {"seconds": result["seconds"], "accuracy": result["metrics"]["test/accuracy"]}
    else:
        command = [sys.executable, "-m", "benchmarks.mnist_fast", "--child", way, str(seed)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(answer.splitlines()[-1])
    return found | {"whole": time.perf_counter() - begin}


def measure(quick: bool = False) -> dict[str, Any]:
    """The table and its goals; `quick`: one round."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(1 if quick else ROUNDS):
        for way, runs in found.items():
            runs.append(run(way, seed))
    seconds = {way: statistics.median(one["seconds"] for one in runs) for way, runs in found.items()}
    whole = {way: statistics.median(one["whole"] for one in runs) for way, runs in found.items()}
    accuracy = {way: statistics.mean(one["accuracy"] for one in runs) for way, runs in found.items()}
    return {
        "title": "MNIST in seconds",
        "head": ["", "training, s", "from command to end, s", "test accuracy, mean"],
        "rows": [[way, f"{seconds[way]:.2f}", f"{whole[way]:.2f}", f"{accuracy[way]:.4f}"] for way in WAYS],
        "goals": [
            ["mnist_fast, training: dlkit / by hand", seconds["dlkit"] / seconds["by hand"], 1.2, "<="],
            ["mnist_fast, training: plain float32 / dlkit", seconds["plain float32"] / seconds["dlkit"], 2.0, ">="],
            ["mnist_fast, test accuracy", accuracy["dlkit"], 0.99, ">="],
        ],
        "text": f"One epoch, {BATCH} images a batch; medians of {len(found['dlkit'])} interleaved rounds, a seed each. "
        "dlkit's whole time holds the figures of the training split with the final weights and all that it writes.",
    }


def main() -> None:
    """Prints the table and the goals; one run for a parent process."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(by_hand(int(sys.argv[3]), fast=sys.argv[2] == "by hand")))
        return
    print(markdown(measure(quick="--quick" in sys.argv[1:])))


if __name__ == "__main__":
    main()
