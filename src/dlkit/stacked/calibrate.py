"""Whether training together gives what each run alone would, and how much faster it is: found by trying both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from math import isfinite
from time import perf_counter, process_time
from typing import Any, cast

import torch
from torch import Tensor, nn

from dlkit.build import Experiment
from dlkit.data.resident import ResidentData
from dlkit.guard import NonFinite
from dlkit.rng import global_state, set_global_state
from dlkit.stacked.forward import Refused
from dlkit.stacked.together import Together

MOST = 16  # runs that are tried: more are hardly faster each
LIMITS = (1e-3, 0.05)  # largest relative difference of the first gradients, and of those after an update
TRIALS = 5  # times of which the fastest counts


def gain(runs: Sequence[Experiment]) -> float:
    """How many times faster a step of the runs is together than one after another, found on copies in a few steps.

    Raises Refused where they cannot be stacked, or do not come to the weights that each has alone.
    """
    random = global_state()
    chosen = [*runs[:-1][: MOST - 1], runs[-1]]
    try:
        _compare([_copy(run, dropout=False) for run in chosen], [_copy(chosen[k], dropout=False) for k in (0, -1)])
        together, one = Together([_copy(run) for run in chosen]), _copy(chosen[0])
        batches, own = _batches(together.runs), one.data.train(one.state.step)
        stacked, single = [], []
        for _ in range(TRIALS):
            stacked.append(_seconds(one.device, lambda: _step(together, next(batches))))
            single += [_seconds(one.device, lambda: _alone(one, next(own))) for _ in range(2)]
        return len(chosen) * min(single) / min(stacked)
    except Refused:
        raise
    except Exception as error:  # of vmap, which knows many things that it cannot do, or of the model
        raise Refused(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    finally:
        set_global_state(random)


def _copy(run: Experiment, dropout: bool = True) -> Experiment:
    """A run that trains by itself, on the same data, without callbacks."""
    state = run.state
    shared: dict[int, Any] = {id(state.parts): {}, id(state.config): state.config, id(state.spec): state.spec}
    engine = deepcopy(run.engine, shared)
    engine.state.train_mode()
    for group in engine.state.optim.param_groups:
        group["lr"] = group["initial_lr"] * run.schedule(state.step)
    if not dropout:
        for module in engine.state.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.p = 0.0
    return replace(run, engine=engine, state=engine.state, callbacks=[])


def _compare(runs: Sequence[Experiment], alone: Sequence[Experiment]) -> None:
    """Raises Refused where the first and the last of the runs do not come to what `alone`, copies of the two, do.

    Gradients say it, not weights: where a gradient is 0 but for rounding, Adam makes a whole step of that.
    """
    together, batches = Together(runs), _batches(runs)
    places = (0, len(runs) - 1)
    for number, limit in enumerate(LIMITS):
        together.backward(next(batches))
        together.stack.give_gradients()
        for run, k in zip(alone, places, strict=True):
            run.engine.backward(next(run.data.train(run.state.step + number)))
            found, wanted = (_flat([p.grad for p in one.engine.params]) for one in (runs[k], run))
            off, size = torch.linalg.vector_norm(found - wanted).item(), torch.linalg.vector_norm(wanted).item()
            if isfinite(size) and not off <= limit * size + 1e-9:
                raise Refused(f"together they have other gradients than alone, {off / max(size, 1e-30):.1g} apart")
            with suppress(NonFinite):  # is no matter here
                run.engine.update()
        together.step()


def _flat(tensors: Sequence[Tensor | None]) -> Tensor:
    return torch.cat([t.flatten().double().cpu() for t in tensors if t is not None])


def _batches(runs: Sequence[Experiment]) -> Any:
    first, *others = [cast(ResidentData, run.data) for run in runs]
    return first.train_with(others, runs[0].state.step)


def _step(together: Together, batch: Any) -> None:
    together.backward(batch)
    together.bad()
    together.step()


def _alone(run: Experiment, batch: Any) -> None:
    run.engine.backward(batch)
    with suppress(NonFinite):
        run.engine.update()


def _seconds(device: torch.device, step: Callable[[], None]) -> float:
    """How long a step takes; of a single CPU thread its own time, whatever else the machine does."""
    clock = process_time if device.type == "cpu" and torch.get_num_threads() == 1 else perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = clock()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - begin
