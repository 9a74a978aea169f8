"""Microseconds of a training step, for every contestant and model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from benchmarks.peers.contest import Contestant, race
from benchmarks.peers.material import MODELS
from benchmarks.peers.report import MISSING, median, ratio, spread

LOOPS, RIVALS = "benchmarks.peers.loops:", "benchmarks.peers.rivals:"
TUTORIAL, LOADER, LIGHTNING = "tutorial loop", "Lightning on that loader", "Lightning on in-memory batches"
KERAS, SKORCH, FASTAI = "Keras 3 (torch) on arrays", "skorch on in-memory batches", "fastai on in-memory batches"
PLAIN, LIMIT, DLKIT = "plain loop, resident tensors", "hand-written limit", "dlkit"
LIMIT16, DLKIT16 = f"{LIMIT}, bf16", f"{DLKIT}, bf16"
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    TUTORIAL: (LOOPS + "tutorial", {}),
    LOADER: (RIVALS + "lightning", {"loader": True}),
    LIGHTNING: (RIVALS + "lightning", {}),
    KERAS: (RIVALS + "keras", {}),
    SKORCH: (RIVALS + "skorch", {}),
    FASTAI: (RIVALS + "fastai", {}),
    PLAIN: (LOOPS + "plain", {}),
    LIMIT: (LOOPS + "limit", {}),
    DLKIT: (LOOPS + "dlkit", {}),
    LIMIT16: (LOOPS + "limit", {"bf16": True}),
    DLKIT16: (LOOPS + "dlkit", {"bf16": True}),
}
# Steps in a round: of the fast ones, which are compared to a percent, and of the others. An epoch of the texts is 50.
WORK = {"logreg": (4000, 500), "MLP": (1000, 250), "CNN": (60, 25), "LSTM": (50, 25)}
FAST = (PLAIN, LIMIT, DLKIT, LIMIT16, DLKIT16)
OVER = {"MLP": 1.05, "CNN": 1.03, "LSTM": 1.03}  # dlkit over the limit
LOGREG_OVER = 15  # µs
BESIDE_LIGHTNING = {"logreg": (4.5, None), "MLP": (1.6, 2.4), "CNN": (1.9, 3.2), "LSTM": (3.0, 4.4)}  # float32, bf16
BESIDE_TUTORIAL = {"logreg": 20, "MLP": 6}
TEXT = """Microseconds a step at batch 128 with Adam: MNIST for logistic regression, the MLP 784-256-128-10 and the CNN
(32 and 64 filters of 3×3, a dense layer of 128), made texts of 8 to 64 words for the LSTM (128 units). dlkit is its own
trainer from plain config, with its default callbacks, log and TensorBoard file; its evaluations are left out, its
checkpoint is charged as a run of 20 epochs has it. The limit is a loop written by hand that has nothing else: resident
tensors, one permutation an epoch, one gather a batch, fused Adam, an allocator that keeps memory, channels_last, texts
in batches of similar length. Lightning logs and saves as it does by default, without its bar."""


def contestants(model: str) -> dict[str, Contestant]:
    """Those whose packages are here and that take the model."""
    many, few = WORK[model]
    chosen = {}
    for name, (place, options) in PLACES.items():
        peer = place.removeprefix(RIVALS) if place.startswith(RIVALS) else None
        if (peer and not find_spec(peer)) or (model == "LSTM" and name in (TUTORIAL, LOADER)):
            continue
        chosen[name] = Contestant(place, many if name in FAST else few, {"model": model, **options})
    return chosen


def measure(quick: bool) -> dict[str, Any]:
    """The table, and dlkit beside the limit, Lightning, the tutorial's loop and skorch."""
    found = {model: race(contestants(model), 3 if quick else 7) for model in MODELS}
    rows = [[name, *(spread(found[model].get(name)) for model in MODELS)] for name in PLACES]
    return {
        "title": "A training step",
        "text": f"{TEXT} {reach(found)}",
        "head": ["µs a step", *MODELS],
        "rows": [row for row in rows if any(cell != MISSING for cell in row[1:])],
        "goals": goals(found),
    }


def reach(found: dict[str, dict[str, list[float]]]) -> str:
    """What the limit itself reaches on this machine: more than that dlkit cannot."""
    told = []
    for model, times in found.items():
        multiples = [ratio(times.get(LIGHTNING), times.get(limit)) for limit in (LIMIT, LIMIT16)]
        if None not in multiples:
            told.append(f"{model} {multiples[0]:.2f} (bf16 {multiples[1]:.2f})")
    return f"Lightning ÷ limit, which bounds what dlkit can reach here: {', '.join(told)}." if told else ""


def goals(found: dict[str, dict[str, list[float]]]) -> list[list[Any]]:
    """What the figures should be."""
    wanted: list[list[Any]] = []
    for model, times in found.items():
        dlkit, lightning = times.get(DLKIT), times.get(LIGHTNING)
        if model in OVER:
            wanted.append([f"{model}: dlkit ÷ limit", ratio(dlkit, times.get(LIMIT)), OVER[model], "<="])
            wanted.append(
                [f"{model}, bf16: dlkit ÷ limit", ratio(times.get(DLKIT16), times.get(LIMIT16)), OVER[model], "<="]
            )
        else:
            over = median(dlkit) - median(times[LIMIT]) if dlkit and times.get(LIMIT) else None
            wanted.append([f"{model}: µs of dlkit − limit", over, LOGREG_OVER, "<="])
        full, half = BESIDE_LIGHTNING[model]
        wanted.append([f"{model}: Lightning ÷ dlkit", ratio(lightning, dlkit), full, ">="])
        if half:
            wanted.append([f"{model}: Lightning ÷ dlkit in bf16", ratio(lightning, times.get(DLKIT16)), half, ">="])
        if model in BESIDE_TUTORIAL:
            name = f"{model}: tutorial ÷ dlkit"
            wanted.append([name, ratio(times.get(TUTORIAL), dlkit), BESIDE_TUTORIAL[model], ">="])
        wanted.append([f"{model}: skorch ÷ dlkit", ratio(times.get(SKORCH), dlkit), 1, ">="])
    return wanted
