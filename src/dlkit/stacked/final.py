"""The final figures of several runs, each split measured once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dlkit.build import Experiment
from dlkit.callbacks.checkpoint import folder
from dlkit.final import digest, settle
from dlkit.result import final_figures
from dlkit.rundir import load
from dlkit.stacked.stack import stacked_states
from dlkit.stacked.together import Figures, Together


def figures_of(runs: Sequence[Experiment], together: Together) -> list[dict[str, Any]]:
    """What `result.final_figures` says of each run. `together` has trained them."""
    if not runs:
        return []
    final = runs[0].final
    if final.mirror or final.shift or any(run.state.signal for run in runs):
        return [{} if run.state.signal else final_figures(run) for run in runs]
    used = [settle(run) for run in runs]
    weights = [run.state.eval_model.state_dict() for run in runs]
    metrics = _measured(weights, together)
    late = []  # runs whose best weights are others
    for run, which, figures in zip(runs, used, metrics, strict=True):
        if which == "best" or (which == "last" and run.state.best.get("step") == run.state.step):
            run.state.best["metrics"] = figures
        elif run.state.best:
            late.append(run)
    if late:
        best = [load(folder(run.state) / "best.pt")["model"] for run in late]
        on_device = [{name: t.to(weights[0][name].device) for name, t in one.items()} for one in best]
        for run, figures in zip(late, _measured(on_device, together), strict=True):
            run.state.best["metrics"] = figures
    return [
        {"metrics": figures, "weights": which, "digest": digest(one)}
        for figures, which, one in zip(metrics, used, weights, strict=True)
    ]


def _measured(weights: Sequence[dict[str, Tensor]], together: Together) -> list[Figures]:
    """Figures of every split with each of these weights."""
    names = together.stack.tensors  # of weights that are shared one
    tensors = stacked_states([{name: one[name] for name in names} for one in weights])
    found: list[Figures] = [{} for _ in weights]
    for split in together.runs[0].data.split_sizes:
        for all_of_them, figures in zip(found, together.evaluate_with(tensors, split), strict=True):
            all_of_them |= figures
    return found
