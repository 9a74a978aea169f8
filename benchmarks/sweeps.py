"""What a sweep costs beside its runs, and what two jobs at once gain. `python -m benchmarks.sweeps`

1. Tiny jobs (digits, one epoch): seconds a job in one sweep, start and report included, beside the same runs as
   separate programs.
2. CNN jobs of one thread each, with `n_jobs=1` and with `n_jobs=2`: seconds from the plan to the last result, and
   what start, preflight and report take besides.

Rounds are interleaved; medians of the rounds. Wants two CPUs that nothing else uses.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS, ALONE, ROUNDS = 32, 4, 3
CNN_JOBS = 6
TINY = ("data=digits", "trainer.epochs=1")
CNN = ("data=digits", "model=cnn", "trainer.epochs=20", "trainer.threads=1")


def seconds(*words: str) -> tuple[float, float]:
    """How long `dlkit train` with these words takes, in a folder of its own, and how long a sweep's jobs took of it."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "dlkit", "train", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        whole = time.perf_counter() - begin
        plans = [path.stat().st_mtime for path in Path(folder).rglob("sweep.json")]
        ends = [path.stat().st_mtime for path in Path(folder).rglob("result.json")]
        return whole, max(ends) - min(plans, default=0.0)


def main() -> None:
    """Prints both ratios."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    swept, alone, besides = [], [], []
    cnn: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        swept.append(seconds("-m", *TINY, f"seed=range({JOBS})")[0] / JOBS)
        alone.append(statistics.mean(seconds(*TINY, f"seed={seed}")[0] for seed in range(ALONE)))
        for at_once, took in cnn.items():
            whole, jobs = seconds("-m", *CNN, f"seed=range({CNN_JOBS})", f"hydra.launcher.n_jobs={at_once}")
            took.append(jobs)
            besides.append(whole - jobs)
    job, program = statistics.median(swept), statistics.median(alone)
    print(f"{JOBS} tiny jobs: {job:.3f} s a job in a sweep, {program:.3f} s as a program: {job / program:.2f}")
    one, two, rest = map(statistics.median, (*cnn.values(), besides))
    print(f"{CNN_JOBS} CNN jobs: {one:.1f} s one after another, {two:.1f} s two at once: {one / two:.2f} x", end="")
    print(f"; start, preflight and report {rest:.1f} s")


if __name__ == "__main__":
    main()
