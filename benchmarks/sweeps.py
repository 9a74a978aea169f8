"""What a sweep costs beside its runs, and what two jobs at once gain. `python -m benchmarks.sweeps`

1. Tiny jobs (digits, one epoch): seconds a job in one sweep, beside the same runs as separate programs.
2. CNN jobs of one thread each: jobs a second with `n_jobs=2` beside `n_jobs=1`.

Rounds are interleaved; medians of the rounds. Wants two CPUs that nothing else uses.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

JOBS, ALONE, ROUNDS = 32, 4, 3
CNN_JOBS = 8
TINY = ("data=digits", "trainer.epochs=1")
CNN = ("data=digits", "model=cnn", "trainer.epochs=40", "trainer.threads=1")


def seconds(*words: str) -> float:
    """How long `dlkit train` with these words takes, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "dlkit", "train", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - begin


def main() -> None:
    """Prints both ratios."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    swept, alone, one, two = [], [], [], []
    for _ in range(ROUNDS):
        swept.append(seconds("-m", *TINY, f"seed=range({JOBS})") / JOBS)
        alone.append(statistics.mean(seconds(*TINY, f"seed={seed}") for seed in range(ALONE)))
        one.append(seconds("-m", *CNN, f"seed=range({CNN_JOBS})", "hydra.launcher.n_jobs=1"))
        two.append(seconds("-m", *CNN, f"seed=range({CNN_JOBS})", "hydra.launcher.n_jobs=2"))
    job, program = statistics.median(swept), statistics.median(alone)
    print(f"{JOBS} tiny jobs: {job:.3f} s a job in a sweep, {program:.3f} s as a program: {job / program:.2f}")
    first, second = statistics.median(one), statistics.median(two)
    print(f"{CNN_JOBS} CNN jobs: {first:.1f} s one after another, {second:.1f} s two at once: {first / second:.2f} x")


if __name__ == "__main__":
    main()
