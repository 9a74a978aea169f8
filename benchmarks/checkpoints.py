"""What saving costs: a checkpoint beside an MNIST epoch of the CNN. `DLKIT_DATA=… python -m benchmarks.checkpoints`

Takes the median of ten saves (best.pt and last.pt, logs flushed) and the median step, interleaved.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from hydra import compose, initialize_config_dir

from dlkit.build import build
from dlkit.callbacks.base import Callback
from dlkit.settings import config_folder as configs
from dlkit.state import State
from dlkit.trainer import fit

REPEATS, STEPS = 10, 10


class Saves(Callback):
    """Has the run saved every STEPS steps, and times that and the steps."""

    def __init__(self, others: list[Callback]):
        self.others, self.saves, self.steps = others, [], []
        self.mark = 0.0

    def on_step(self, state: State) -> None:
        now = time.perf_counter()
        if self.mark:
            self.steps.append(now - self.mark)
        if state.step % STEPS == 0:
            for callback in self.others:
                callback.on_eval(state, {"val/loss": 1.0 / state.step})  # a new best each time
                callback.on_checkpoint(state)
            self.saves.append(time.perf_counter() - now)
        self.mark = time.perf_counter()


def main() -> None:
    """Prints the cost of a save as a share of an epoch."""
    with tempfile.TemporaryDirectory() as place:
        with initialize_config_dir(str(configs()), version_base="1.3"):
            cfg = compose("train", ["data=mnist", "model=cnn", f"trainer.max_steps={REPEATS * STEPS}"])
        run = build(cfg, Path(place))
        saves = Saves(run.callbacks)
        fit(run.state, run.engine, run.data, run.schedule, [*run.callbacks, saves], eval_every=10**9, log_every=50)
    save, step = statistics.median(saves.saves), statistics.median(saves.steps)
    epoch = step * run.data.steps_per_epoch
    print(f"a save {1000 * save:.1f} ms, a step {1000 * step:.2f} ms, an epoch {epoch:.2f} s: {save / epoch:.2%} of it")


if __name__ == "__main__":
    main()
