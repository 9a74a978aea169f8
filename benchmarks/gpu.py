"""Steps on a GPU over the limit, and the fast recipes. `DLKIT_DATA=… python -m benchmarks.gpu [--quick]`

1. Every kind of model: a step of the whole trainer with its default callbacks, step by step and as CUDA graphs
   (trainer.capture), beside the limit: the same forward and backward pass and fused Adam in one graph, played again and
   again on one batch, with no data, loss kept or log.
2. `experiment=mnist_fast` and `experiment=cifar10_fast`, step by step and captured: seconds of training, accuracy.

Ends with one line where there is no GPU.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.peers.report import markdown
from dlkit.build import Experiment, build
from dlkit.settings import config_folder
from dlkit.trainer import fit

MODELS: dict[str, tuple[str, ...]] = {
    "logreg": ("data=mnist", "model=logreg"),
    "mlp": ("data=mnist", "model=mlp"),
    "cnn": ("data=mnist", "model=cnn"),
    "cnn, bfloat16": ("data=mnist", "model=cnn", "trainer.dtype=bfloat16"),
    "airbench, bfloat16": ("data=cifar10", "model=airbench", "init=whiten", "trainer.dtype=bfloat16"),
    "lstm_text": ("data=trec", "model=lstm_text"),
    "cnn_speech": ("data=fsdd", "model=cnn_speech"),
}
SEQUENCES = ("lstm_text", "cnn_speech")  # of changing length: no graph holds them
FIRST, MORE = 100, 400  # steps before the clock starts, and under it
SEEDS = 5
RECIPES = {"mnist_fast": 1.0, "cifar10_fast": None}  # and the seconds that are the goal


def made(words: tuple[str, ...], folder: str, device: str, steps: int) -> Experiment:
    """A run on its way to `steps` steps, without evaluations."""
    bounds = [f"trainer.max_steps={steps}", f"trainer.device={device}", f"trainer.eval_every={steps}"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return build(compose("train", [*words, "data.val_fraction=0", *bounds]), Path(folder))


def trainer_step(words: tuple[str, ...], device: str = "cuda", first: int = FIRST, more: int = MORE) -> float:
    """Seconds of a step in the trainer, the first ones left out."""
    seconds = []
    for steps in (first, first + more):
        with tempfile.TemporaryDirectory() as folder:
            run = made(words, folder, device, steps)
            fit(run.state, run.engine, run.data, run.schedule, run.callbacks, eval_every=steps, log_every=50)
            seconds.append(run.state.seconds)
    return (seconds[1] - seconds[0]) / more


def limit(words: tuple[str, ...], steps: int = MORE) -> float:
    """Seconds of a step that is one graph, on the first batch."""
    with tempfile.TemporaryDirectory() as folder:
        run = made(words, folder, "cuda", 1)
    model, engine, batch = run.state.model.train(), run.engine, next(run.data.train(0))
    optim = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], fused=True, capturable=True)

    def step() -> None:
        optim.zero_grad(set_to_none=True)
        engine.loss(engine.forward(model, batch.x), batch.y).mean().backward()
        optim.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        step()
    return timed(graph.replay, steps)


def timed(function: Callable[[], None], times: int) -> float:
    """Seconds a call, the device waited for."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(times):
        function()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / times


def recipe(name: str, seed: int, capture: bool) -> tuple[float, float]:
    """Seconds of training and test accuracy of an experiment, run as a command."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"experiment={name}", f"seed={seed}", f"trainer.capture={str(capture).lower()}", "run_dir=run"]
        words += ["trainer.device=cuda", f"data.root={Path(os.environ.get('DLKIT_DATA', 'data')).resolve()}"]
        command = [sys.executable, "-m", "dlkit", "train", *words]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        result = json.loads((Path(folder) / "run" / "result.json").read_text())
        return result["seconds"], result["metrics"]["test/accuracy"]


def measure(quick: bool = False) -> dict[str, Any]:
    """The table and its goals; `quick`: fewer steps and one seed. Sets that are not there are left out."""
    rows, goals = [], []
    more = MORE // 4 if quick else MORE
    for name, words in MODELS.items():
        try:
            least = limit(words, more)
        except ValueError as error:  # no such data here
            rows.append([name, str(error), "", "", ""])
            continue
        usual = trainer_step(words, more=more)
        try:
            played = None if name in SEQUENCES else trainer_step((*words, "trainer.capture=true"), more=more)
        except (ValueError, RuntimeError) as error:  # one that cannot be captured is no reason to lose the others
            print(f"{name}: {error}", file=sys.stderr)
            played = None
        best = usual if played is None else played
        rows.append([name, *(f"{1e6 * t:.0f}" if t else "–" for t in (least, usual, played)), f"{best / least:.2f}"])
    for name, goal in RECIPES.items():
        for capture in (False, True):
            try:
                runs = [recipe(name, seed, capture) for seed in range(1 if quick else SEEDS)]
            except subprocess.CalledProcessError:
                rows.append([name, "could not be run", "", "", ""])
                continue
            seconds, accuracy = statistics.median(run[0] for run in runs), statistics.mean(run[1] for run in runs)
            how = "captured" if capture else "step by step"
            rows.append([f"{name}, {how}", f"{seconds:.2f} s", f"accuracy {accuracy:.4f}", "", ""])
            if capture and goal:
                goals.append([f"{name} on a GPU, s", seconds, goal, "<="])
    return {
        "title": f"On a GPU: {torch.cuda.get_device_name()}",
        "head": ["", "limit, µs a step", "dlkit, µs", "dlkit captured, µs", "over the limit"],
        "rows": rows,
        "goals": goals,
        "text": "Limit: forward, backward and fused Adam in one CUDA graph on one batch. dlkit: its trainer with the "
        "default callbacks. The last lines: whole recipes, seconds of training.",
    }


def main() -> None:
    """Prints the table and the goals."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: no GPU here that torch can use")
    print(markdown(measure(quick="--quick" in sys.argv[1:])))


if __name__ == "__main__":
    main()
