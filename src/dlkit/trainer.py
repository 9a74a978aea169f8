"""The loop and nothing else: `fit` trains, `evaluate` measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from dlkit.callbacks.base import Callback
from dlkit.engine import Engine
from dlkit.guard import NonFinite
from dlkit.measure import Measure
from dlkit.state import State
from dlkit.types import Batch, Data, Schedule


def fit(
    state: State,
    engine: Engine,
    data: Data,
    schedule: Schedule,
    callbacks: Sequence[Callback] = (),
    *,
    eval_every: int,
    log_every: int,
    save_every: float = float("inf"),
) -> None:
    """Trains from `state.step` to `state.total_steps`, or until something sets `state.stop`.

    Evaluates on "val" every `eval_every` steps, logs every `log_every` and before an evaluation, saves when
    `save_every` seconds have passed since the last time; all three once more at the end. A signal ends the run at once:
    saved, but neither logged nor evaluated, so that a resumed run does that at the steps at which an unbroken would.
    """

    def emit(event: str, *args: Any) -> None:
        for callback in callbacks:
            getattr(callback, event)(state, *args)

    def ending() -> bool:
        return state.step >= state.total_steps or bool(state.stop and not state.signal)

    def log() -> None:
        figures = engine.read_log()  # sync point: once per log_every steps, never per step
        emit("on_log", figures | {"lr": state.lr, "samples_per_second": clock.rate()})

    batches = data.train(state.step)
    state.status = "failed"  # until the loop has come to its end
    try:
        emit("on_start")
        state.train_mode()
        clock = Clock(state)
        while not state.done:
            for group in state.optim.param_groups:
                group["lr"] = group["initial_lr"] * schedule(state.step)
            engine.backward(next(batches))
            emit("on_grad")
            engine.update()
            state.step += 1
            clock.pause()
            emit("on_step")
            evaluates = "val" in data.split_sizes and state.step % eval_every == 0
            if state.step % log_every == 0 or evaluates or ending():
                log()
            if evaluates or ("val" in data.split_sizes and ending()):
                engine.check()  # before bad figures are believed, and so that the clock stops when the device does
                clock.pause()
                state.metrics = evaluate(engine, state.eval_model, data.eval("val"), "val")
                state.train_mode()
                emit("on_eval", state.metrics)
                clock.resume()
                if ending() and state.losses:  # the evaluation ended the run
                    log()
            if state.done or clock.since_save() >= save_every:
                engine.check()
                clock.pause()
                emit("on_checkpoint")  # last at a step, so that nothing of it is lost on a resume
                clock.saved()
        state.status = "finished" if not state.stop else "interrupted" if state.signal else "stopped"
    except NonFinite as error:
        del state.losses[len(state.losses) - (state.step - error.step) :]
        state.step = error.step  # where the weights are those of
        emit("on_checkpoint")
        raise
    finally:
        emit("on_end")


def evaluate(
    measure: Measure,
    model: nn.Module,
    batches: Iterable[Batch],
    split: str,
    keep: list[tuple[Tensor, Tensor]] | None = None,
) -> dict[str, float]:
    """`{split}/loss` and every metric, exact over batches of any length; one sync point.

    Leaves the model in evaluation mode. `keep` takes the outputs and targets of every batch.
    """
    model.eval()
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in batches:
        out, of_batch = measure.measure(model, batch)
        for name, value in of_batch.items():
            sums[name] = sums[name] + value if name in sums else value
        count += len(batch.y)
        if keep is not None:
            keep.append((out, batch.y))
    if not count:  # a signal came first
        return {}
    finish = {name: metric.finish for name, metric in measure.metrics.items()}
    figures = [finish[name](total / count) if name in finish else total / count for name, total in sums.items()]
    return dict(zip((f"{split}/{name}" for name in sums), torch.stack(figures).tolist(), strict=True))


class Clock:
    """Adds the time of training steps, without evaluations and saving, to `state.seconds`."""

    def __init__(self, state: State):
        self.state = state
        self.mark = self.save_mark = perf_counter()
        self.last = (state.step, state.seconds)

    def pause(self) -> None:
        now = perf_counter()
        self.state.seconds += now - self.mark
        self.mark = now

    def resume(self) -> None:
        self.mark = perf_counter()

    def rate(self) -> float:
        """Examples per second since the last call."""
        self.pause()
        (step, seconds), self.last = self.last, (self.state.step, self.state.seconds)
        return (self.state.step - step) * self.state.batch_size / max(self.state.seconds - seconds, 1e-9)

    def since_save(self) -> float:
        return perf_counter() - self.save_mark

    def saved(self) -> None:
        self.mark = self.save_mark = perf_counter()
