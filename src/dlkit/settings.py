"""The options that belong to no brick: of the run as a whole, and of the trainer. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt, ProperFraction

# The config groups, in the order in which they are read. One folder each under configs/.
GROUPS = ("data", "model", "loss", "regularizer", "optim", "scheduler", "init", "trainer", "callbacks", "experiment")

# Nodes of options at the top level that are no group: there is nothing to choose from.
NODES = ("final",)

# A group's node holds the arguments of its `_target_` and, for these groups, of one function more, which every choice
# shares: `load` cuts any source into splits and batches, `groups` gives layers rates and decays of their own,
# `planned` puts a warmup before any schedule, `finish` sets the biases that schemes leave at 0.
SHARED = {
    "data": "dlkit.data.prepare.load",
    "optim": "dlkit.optim.groups.groups",
    "scheduler": "dlkit.schedules.planned",
    "init": "dlkit.inits.finish",
}

# What a target is called with by position, before its options; the targets of the other groups with nothing.
GIVEN = {
    "model": ("spec", "outputs"),
    "loss": ("spec",),
    "optim": ("params",),
    "scheduler": ("total",),
    "init": ("model", "batch"),
}


@dataclass(frozen=True)
class Run:
    """The top level of the config."""

    seed: NonNegativeInt = 0
    name: str | None = None
    tags: tuple[str, ...] = ()
    sweep: str | None = None
    run_dir: str | None = None
    resume: str | None = None
    init_from: str | None = None
    figure: str | None = None
    freeze: bool = False
    dry_run: bool = False
    debug: bool = False


@dataclass(frozen=True)
class Trainer:
    """How long, on what, and in which precision a model is trained. Defaults stand in configs/trainer/default.yaml."""

    epochs: Positive | None
    max_steps: PositiveInt | None
    max_time: Positive | None
    eval_every: PositiveInt | None
    log_every: PositiveInt
    save_every: NonNegative
    device: Literal["auto", "cpu", "cuda", "mps"]
    dtype: Literal["float32", "bfloat16", "float16"]
    accumulate: PositiveInt
    ema: ProperFraction
    compile: bool
    channels_last: bool
    tf32: bool
    deterministic: bool
    threads: PositiveInt | None
    allocator: bool
    nan_guard: bool
    overfit_batches: NonNegativeInt
    limit_batches: NonNegativeInt
    capture: bool = False  # not in configs of older runs, nor are the next
    profile: bool = False


@dataclass(frozen=True)
class Final:
    """The model at the end of a run: with which its final figures are made, and what comes after training."""

    weights: Literal["last", "best", "average_last", "average_best"] = "last"
    average: Annotated[int, Ge(2)] = 5
    mirror: bool = False
    shift: NonNegativeInt = 0

    @property
    def checkpoint(self) -> str:
        """The name of the file under checkpoints/ that holds these weights."""
        return "average" if self.weights.startswith("average_") else self.weights


def program() -> str:
    """How the user called dlkit, to be shown in what to type next."""
    return "python train.py" if Path(sys.argv[0]).name == "train.py" else "dlkit train"


def config_folder() -> Path:
    """The shipped configs: inside the package in a wheel, beside `src/` in a clone (editable install)."""
    package = Path(__file__).resolve().parent
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parents[1] / "configs"


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a nested config."""
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))


def as_text(value: Any) -> str:
    """A value of the config as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_text, value))}]"
    return str(value)
