"""Accuracies that must be reached, as the mean of three seeds. `DLKIT_DATA=… python -m benchmarks.accuracy [name …]`

Runs the commands below, prints a row each (mean and standard deviation of test/accuracy with the last weights) and
exits with 1 where one falls short. Twenty minutes on two cores.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = 3
COMMON = "optim=adam scheduler=cosine data.batch_size=64 trainer.epochs=5"
GOALS = {  # name: overrides, least mean accuracy
    "digits": ("", 0.96),
    "mnist_logreg": (f"data=mnist model=logreg {COMMON}", 0.921),
    "mnist_mlp": (f"data=mnist model=mlp {COMMON}", 0.977),
    "mnist_cnn": (f"data=mnist model=cnn {COMMON}", 0.989),
    "fashion_cnn": (f"data=fashion_mnist model=cnn {COMMON}", 0.905),
}


def accuracy(overrides: str, seed: int) -> tuple[float, float]:
    """Test accuracy and training seconds of one run."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        command = [sys.executable, "-m", "dlkit", "train", *overrides.split(), f"seed={seed}", f"run_dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        result = json.loads((folder / "result.json").read_text())
    return result["metrics"]["test/accuracy"], result["seconds"]


def main() -> None:
    """Prints the table."""
    missed = []
    for name in sys.argv[1:] or GOALS:
        overrides, goal = GOALS[name]
        rows = [accuracy(overrides, seed) for seed in range(SEEDS)]
        values = [row[0] for row in rows]
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        seconds = statistics.median(row[1] for row in rows)
        print(f"| {name} | `{overrides}` | {mean:.4f} ± {deviation:.4f} | {goal} | {seconds:.1f} |", flush=True)
        if mean < goal:
            missed.append(name)
    if missed:
        sys.exit(f"below the goal: {', '.join(missed)}")


if __name__ == "__main__":
    main()
