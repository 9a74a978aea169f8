"""Time per sample against batch size, width of the model, data and number of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.peers import sweeps
from benchmarks.peers.contest import Contestant, Round, once, turns
from benchmarks.peers.report import line, median, shown, spread

BATCHES = (8, 32, 128, 512, 2048)
WIDTHS = (16, 64, 256, 1024)
PARTS = (1, 2, 4)  # of 13,500 training images
REPLICAS = (1, 4, 16, 64, 256)
REPLICA_EPOCHS = 5
TEXT = """dlkit's trainer with its default callbacks unless said otherwise; the points of a table take turns. A cost is
a fixed part and one that grows with the work, `a + b·n`: the knee is at n = a/b, where both are equal. a and b are
fitted to the figures by least squares of relative errors."""


def measure(quick: bool) -> dict[str, Any]:
    """Four tables."""
    rounds = 3 if quick else 5
    tables = [batch_size(rounds), width(rounds), data_size(rounds), replicas(1 if quick else 2)]
    return {"title": "Cost as work grows", "text": TEXT, "tables": tables}


def batch_size(rounds: int) -> dict[str, Any]:
    """The MLP and the CNN on MNIST."""
    found = {
        model: measured(rounds, {n: (model, n, ()) for n in BATCHES}, 40_000 if model == "MLP" else 1000)
        for model in ("MLP", "CNN")
    }
    rows = [[n, *(spread([t / n for t in times[n]]) for times in found.values())] for n in BATCHES]
    text = " ".join(f"{model}: {knee(BATCHES, [median(times[n]) for n in BATCHES])}" for model, times in found.items())
    return {
        "title": "Batch size",
        "head": ["batch", "MLP, µs a sample", "CNN, µs a sample"],
        "rows": rows,
        "text": text,
    }


def knee(sizes: Sequence[int], steps: Sequence[float]) -> str:
    """What the µs of a step at these batch sizes say."""
    fixed, each = line(sizes, steps)
    samples = [step / size for size, step in zip(sizes, steps, strict=True)]
    least = min(samples)
    best = sizes[samples.index(least)]
    text = f"a step costs {shown(fixed)} µs and {shown(each)} µs a sample; the knee is at a batch of "
    text += f"{shown(fixed / each)}. The least is {shown(least)} µs a sample, at a batch of {best}"
    if best != sizes[-1]:
        text += f"; at {sizes[-1]} it is {samples[-1] / least:.2f} times that: more of a batch is outside the caches"
    return text + "."


def width(rounds: int) -> dict[str, Any]:
    """MLPs with two hidden layers of one width, on MNIST."""
    found = measured(rounds, {w: ("MLP", 128, (f"model.hidden=[{w},{w}]",)) for w in WIDTHS}, 40_000)
    weights = [784 * w + w * w + 10 * w for w in WIDTHS]
    steps = [median(found[w]) for w in WIDTHS]
    fixed, each = line(weights, steps)
    rows = [
        [w, f"{count:,}", spread([t / 128 for t in found[w]]), 1000 * step / 128 / count * 1000]
        for w, count, step in zip(WIDTHS, weights, steps, strict=True)
    ]
    text = f"A step costs {shown(fixed)} µs and {shown(1000 * each)} µs for every thousand weights: the knee is at "
    text += f"{shown(fixed / each)} weights; in narrower models most of a step is what every call costs."
    head = ["units of a layer", "weights", "µs a sample", "ps a sample and weight"]
    return {"title": "Width of the MLP", "head": head, "rows": rows, "text": text}


def data_size(rounds: int) -> dict[str, Any]:
    """The MLP on a quarter, half and all of MNIST's training split."""
    shares = {part: ("MLP", 128, (f"data.val_fraction={1 - 13_500 * part / 60_000}",)) for part in PARTS}
    found = measured(rounds, shares, 40_000)
    rows = [[f"{13_500 * part:,}", spread([t / 128 for t in found[part]])] for part in PARTS]
    growth = median(found[PARTS[-1]]) / median(found[PARTS[0]])
    text = f"With {PARTS[-1]} × the examples a sample costs {growth:.2f} × as much: "
    text += "a batch is one gather" + (", wherever it lies." if growth < 1.1 else ", and more of it misses the caches.")
    return {"title": "Data in memory", "head": ["training examples", "µs a sample"], "rows": rows, "text": text}


def replicas(rounds: int) -> dict[str, Any]:
    """Digits MLPs trained at once: the bare loop, and dlkit's stacked launcher where it is there."""
    times = once(Contestant("benchmarks.peers.scaling:stacks", rounds))
    samples = REPLICA_EPOCHS * (sweeps.TRAINING // sweeps.BATCH * sweeps.BATCH)
    head, rows = (
        ["replicas", "bare loop, µs a sample and replica"],
        [[n, spread([1e6 * t / samples / n for t in times[n]])] for n in REPLICAS],
    )
    head.append("dlkit, stacked, seconds a job")
    for row in rows:
        took = [sweeps.swept(row[0], "stacked", epochs=REPLICA_EPOCHS) for _ in range(rounds)]
        row.append(spread([seconds / row[0] for seconds in took]))
    fixed, each = line(REPLICAS, [1e6 * median(times[n]) / samples for n in REPLICAS])
    text = f"The bare loop costs {shown(fixed)} µs a sample and {shown(each)} µs for each replica: the knee is at "
    text += (
        f"{shown(fixed / each)} replicas; with fewer, most of a step is what every call costs, with more, arithmetic."
    )
    return {"title": "Replicas trained as one model", "head": head, "rows": rows, "text": text}


def measured(rounds: int, points: dict[int, tuple[str, int, tuple[str, ...]]], samples: int) -> dict[int, list[float]]:
    """µs a step at every point: (model, batch size, more options)."""
    options = {"points": points, "samples": samples}
    return once(Contestant("benchmarks.peers.scaling:taking_turns", rounds, options))


def taking_turns(points: dict[int, tuple[str, int, tuple[str, ...]]], samples: int) -> Round:
    """A Round: so many turns, to µs a step by point. All in one process, with one setting for all."""
    from benchmarks.peers.loops import dlkit

    works = {point: dlkit(model, more=more, batch_size=size) for point, (model, size, more) in points.items()}
    steps = {point: max(5, samples // size) for point, (_, size, _) in points.items()}

    return lambda rounds: turns({point: partial(works[point], steps[point]) for point in points}, rounds)


def stacks() -> Round:
    """A Round: so many turns of the bare loop, to seconds by number of replicas."""
    x, y = sweeps.digits()
    x, y = x[: sweeps.TRAINING], y[: sweeps.TRAINING]

    def seconds(n: int) -> float:
        start = perf_counter()
        sweeps.stacked(x, y, n, REPLICA_EPOCHS)
        return perf_counter() - start

    return lambda rounds: turns({n: partial(seconds, n) for n in REPLICAS}, rounds)
