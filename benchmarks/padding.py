"""What variable-length text costs: an epoch with length grouping beside one padded to the longest.

`python -m benchmarks.padding`

Made texts of 8 to 64 words, equally many of each length, the model lstm_text with its defaults, batches of 64. Three
ways with the same texts, weights and number of steps: all padded to 64 words; each batch padded to its own longest;
batches of similar length, as dlkit has it. Interleaved, medians. Exits with 1 where grouping is less than 1.5 × faster
than padding everything (real words alone would make it 1.78 ×).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from benchmarks.baselines import compose_config
from dlkit import runtime
from dlkit.data.order import epoch_order
from dlkit.data.raw import Ragged
from dlkit.data.resident import ResidentData
from dlkit.data.text.tokens import Tokens
from dlkit.engine import Engine
from dlkit.losses import CrossEntropy
from dlkit.making import make
from dlkit.parts import build_optim
from dlkit.state import State
from dlkit.types import Batch, Spec

EXAMPLES, BATCH, SHORTEST, LONGEST, WORDS, CLASSES = 3200, 64, 8, 64, 5000, 4
REPEATS, GOAL = 5, 1.5


def texts() -> tuple[Ragged, torch.Tensor]:
    """Random words and classes."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (EXAMPLES,), generator=generator)
    words = torch.randint(2, WORDS, (int(lengths.sum()),), generator=generator)
    return Ragged(words, lengths), torch.randint(CLASSES, (EXAMPLES,), generator=generator)


def engine(cfg: DictConfig, spec: Spec, device: torch.device) -> Engine:
    """A new lstm_text and its optimiser."""
    torch.manual_seed(0)
    model = make(cfg.model)(spec, CLASSES).to(device)
    state = State(model, build_optim(cfg, model), spec, Path(), EXAMPLES // BATCH, EXAMPLES // BATCH, BATCH)
    return Engine(state, CrossEntropy(spec), {}, device=device)


def seconds(training: Engine, device: torch.device, batches: list[Callable[[], Batch]]) -> float:
    """Of an epoch over batches that are cut as they are needed."""
    for cut in batches[:2]:  # warms up
        training.backward(cut())
        training.update()
    wait(device)
    start = time.perf_counter()
    for cut in batches:
        training.backward(cut())
        training.update()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Prints the medians and their ratios."""
    cfg = compose_config(["data=cldr_names", "model=lstm_text"])
    device = runtime.setup(instantiate(cfg.trainer))
    x, y = texts()
    x, y = x.to(device), y.to(device)
    spec = Spec("tokens", (LONGEST,), CLASSES, "classification", tuple("abcd"), vocab_size=WORDS)
    steps = EXAMPLES // BATCH
    everything = x.padded(torch.arange(EXAMPLES))
    random = epoch_order(0, 0, y.cpu(), "uniform").split(BATCH)
    grouped = ResidentData(spec, {"train": (x, y)}, Tokens(), "", batch_size=BATCH, seed=0).train(0)
    ways: dict[str, list[Callable[[], Batch]]] = {
        "everything": [lambda i=i: Batch(everything[i.to(device)], y[i.to(device)]) for i in random],
        "each batch": [lambda i=i: Batch(x.padded(i), y[i.to(device)]) for i in random],
        "grouped": [lambda: next(grouped)] * steps,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, batches in ways.items():
            times[name].append(seconds(engine(cfg, spec, device), device, batches))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        ratio = medians["everything"] / medians[name]
        print(f"{name:10s} {medians[name]:.3f} s an epoch ({min(values):.3f} to {max(values):.3f}), {ratio:.2f} x")
    if medians["everything"] / medians["grouped"] < GOAL:
        sys.exit(f"grouping by length is less than {GOAL} x faster")


if __name__ == "__main__":
    main()
