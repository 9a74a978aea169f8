"""What callbacks cost: the CNN on MNIST with each of their sets. `DLKIT_DATA=… python -m benchmarks.dashboards`

A run of each set is trained in turns, whole but for its final figures: an epoch, or what the options say, of training,
evaluating, logging, drawing and saving. An epoch varies by more than callbacks take, so these are timed besides: the
goal is that of the seconds within them. Beside the times stand those of a round of each panel, and how often it drew.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from benchmarks.peers.contest import turns
from benchmarks.peers.report import markdown
from dlkit.build import build
from dlkit.callbacks.base import EVENTS, Callback
from dlkit.callbacks.panels.panel import Panel
from dlkit.settings import config_folder as configs
from dlkit.trainer import fit

SETS = ("minimal", "default", "everything")
GOAL = 1.03  # default ÷ minimal, at most
WITHIN: dict[str, list[float]] = defaultdict(list)  # by set the seconds in its callbacks' methods
DRAWN: dict[str, list[float]] = defaultdict(list)  # by panel the seconds of each of its rounds with `everything`


def trained(callbacks: str, words: list[str]) -> float:
    """Seconds of a run with this set of callbacks, from its first step to its last event."""
    with tempfile.TemporaryDirectory() as place:
        with initialize_config_dir(str(configs()), version_base="1.3"):
            cfg = compose("train", ["data=mnist", "model=cnn", f"callbacks={callbacks}", *words])
        run = build(cfg, Path(place))
        kept = [one for one in run.callbacks if type(one).__name__ != "ProgressBar"]  # only where somebody looks
        if callbacks == "everything":
            watch(kept)
        took: list[float] = []
        for callback in kept:
            for event in EVENTS:
                if getattr(type(callback), event) is not getattr(Callback, event):
                    setattr(callback, event, partial(timed, took, getattr(callback, event)))
        start = time.perf_counter()
        fit(
            *(run.state, run.engine, run.data, run.schedule, kept),
            eval_every=run.eval_every,
            log_every=run.trainer.log_every,
            save_every=run.trainer.save_every,
        )
        seconds = time.perf_counter() - start
        WITHIN[callbacks].append(sum(took))
        for callback in kept:
            callback.on_result(run.state, {"status": "interrupted"})  # closes the files
    return seconds


def watch(callbacks: list[Callback]) -> None:
    """Has each panel's rounds timed."""
    for callback in callbacks:
        if isinstance(callback, Panel):
            callback.draw = partial(timed, DRAWN[type(callback).__name__], callback.draw)  # type: ignore[method-assign]


def timed(took: list[float], act: Any, *args: Any) -> None:
    start = time.perf_counter()
    act(*args)
    took.append(time.perf_counter() - start)


def measure(rounds: int, words: list[str]) -> dict[str, Any]:
    """A section as `benchmarks.peers.report` has it."""
    times = turns({name: partial(trained, name, words) for name in SETS}, rounds)
    least = statistics.median(times["minimal"])
    panels = sorted(DRAWN.items(), key=lambda item: -statistics.median(item[1]))
    runs = rounds + 1  # one is not counted
    more = statistics.median(WITHIN["default"]) - statistics.median(WITHIN["minimal"])
    return {
        "title": "Dashboards",
        "text": "Seconds of a run, median and quartiles.",
        "head": ["callbacks", "seconds", "÷ minimal", "within callbacks"],
        "rows": [
            [name, seconds(of_one), statistics.median(of_one) / least, statistics.median(WITHIN[name])]
            for name, of_one in times.items()
        ],
        "tables": [
            {
                "title": "Panels",
                "head": ["", "ms a round", "rounds a run"],
                "rows": [[name, 1000 * statistics.median(took), len(took) / runs] for name, took in panels],
            }
        ],
        "goals": [["default ÷ minimal, by the seconds within callbacks", 1 + more / least, GOAL, "<="]],
    }


def seconds(times: list[float]) -> str:
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive") if times[1:] else times * 3
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def main() -> None:
    """Prints the times, their ratios to `minimal`, what each panel costs, and whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("options", nargs="*", help="of dlkit train: trainer.epochs=3")
    asked = parser.parse_args()
    print(markdown(measure(asked.rounds, ["trainer.epochs=1", *asked.options])))


if __name__ == "__main__":
    main()
