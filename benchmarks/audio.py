"""What is computed once for recordings, and what that saves. `DLKIT_DATA=… python -m benchmarks.audio`

Features: samples per second in training fsdd_cnn and fsdd_lstm with log-mel frames made at every step and made once, on
the device; interleaved, medians. Files: seconds to read FSDD's 3,000 recordings, decoded and resampled to 16 kHz, for
the first time and from the cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

from benchmarks.baselines import compose_config, raw_splits
from dlkit import build as building
from dlkit.trainer import fit

STEPS, REPEATS = 100, 5
EXPERIMENTS = ("fsdd_cnn", "fsdd_lstm")


def samples_per_second(experiment: str, once: bool, place: Path) -> float:
    """Of STEPS training steps. Making the frames once is not in it."""
    cfg = compose_config([f"experiment={experiment}", f"trainer.max_steps={STEPS}", "callbacks=minimal"])
    place.mkdir(parents=True)
    if once:
        run = building.build(cfg, place)
    else:
        with mock.patch.object(building, "features_once", return_value=False):
            run = building.build(cfg, place)
    never = 10**9
    fit(run.state, run.engine, run.data, run.schedule, run.callbacks, eval_every=never, log_every=STEPS)
    return run.state.step * run.state.batch_size / run.state.seconds


def features(place: Path) -> None:
    """Prints samples per second before and after."""
    for experiment in EXPERIMENTS:
        found: dict[bool, list[float]] = {False: [], True: []}
        for repeat in range(REPEATS):
            for once, values in found.items():
                values.append(samples_per_second(experiment, once, place / f"{experiment}-{once}-{repeat}"))
        before, after = (statistics.median(values) for values in found.values())
        said = f"{before:,.0f} samples/s with features at every step, {after:,.0f} with features made once"
        print(f"{experiment}: {said}, {after / before:.2f} x", flush=True)


def files(place: Path) -> None:
    """Prints the seconds of a first and of later readings."""
    times = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        raw_splits(compose_config(["data=fsdd", "data.sample_rate=16000", f"data.cache={place / 'cache'}"]))
        times.append(time.perf_counter() - start)
    first, later = times[0], statistics.median(times[1:])
    print(f"fsdd at 16 kHz: {first:.2f} s the first time, {later:.2f} s from the cache, {first / later:.1f} x")


def main() -> None:
    """Prints both."""
    with tempfile.TemporaryDirectory() as place:
        files(Path(place))
        features(Path(place))


if __name__ == "__main__":
    main()
