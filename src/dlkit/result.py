"""The final figures of a run, and what result.json holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from dlkit import dist
from dlkit.build import Experiment
from dlkit.final import digest, settle, viewed
from dlkit.regularizers import weights, zero_weights
from dlkit.rundir import load
from dlkit.state import State
from dlkit.summary import parameter_count
from dlkit.trainer import evaluate


def final_figures(experiment: Experiment) -> dict[str, Any]:
    """What result.json says of the final model: the "metrics" of every split, which "weights" they are of, and the
    "digest" of these. Those of the best weights join `state.best`; both are over the views of `final`, which the
    validation during training was not. Empty where a signal came first.
    """
    state, engine, data = experiment.state, experiment.engine, experiment.data
    used = dist.tell(settle(experiment) if dist.rank() == 0 else "")
    dist.spread(list(state.eval_model.state_dict().values()))
    model = viewed(state.eval_model, experiment.final)

    def measure() -> dict[str, float]:
        figures: dict[str, float] = {}
        for split in data.split_sizes:
            if dist.world() > 1:
                state.end_by(*dist.most(state.asked))
            if state.signal:  # what is left would be half measured
                break
            batches = takewhile(lambda batch: not state.signal, data.eval(split))
            figures |= evaluate(engine, model, batches, split)
        return figures

    metrics = measure()
    if state.signal:
        return {}
    if used == "best" or (used == "last" and state.best.get("step") == state.step):
        state.best["metrics"] = metrics
    elif state.best:
        with best_weights(state):
            state.best["metrics"] = measure()
    return {"metrics": metrics, "weights": used, "digest": digest(state.eval_model.state_dict())}


@contextmanager
def best_weights(state: State) -> Iterator[None]:
    """The model to evaluate with the weights of best.pt, put back afterwards."""
    model = state.eval_model
    final = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if dist.rank() == 0:
        model.load_state_dict(load(state.folder / "checkpoints" / "best.pt")["model"])
    dist.spread(list(model.state_dict().values()))
    try:
        yield
    finally:
        model.load_state_dict(final)


def make_result(experiment: Experiment, reason: str, figures: dict[str, Any]) -> dict[str, Any]:
    """What result.json holds: how the run ended, what it cost, and its `final_figures`; without them the last ones."""
    state = experiment.state
    return {
        "status": state.status,
        "reason": reason,
        "signal": state.signal,
        "step": state.step,
        "epoch": round(state.epoch, 4),
        "seconds": round(state.seconds, 4),
        "parameters": parameter_count(state.model),
        "zero_weights": round(zero_weights(weights(state.model)).item(), 6) if figures else None,
        "samples_per_second": round(state.step * state.batch_size / max(state.seconds, 1e-9), 1),
        **{key: state.config[key] for key in ("seed", "name", "tags")},
        "weights": figures.get("weights"),
        "digest": figures.get("digest"),
        "metrics": figures.get("metrics") or state.metrics,
        "best": state.best,
    }
