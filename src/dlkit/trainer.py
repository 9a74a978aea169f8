"""The loop and nothing else: `fit` trains, `evaluate` measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from dlkit import dist
from dlkit.callbacks.base import Callback, handlers
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
    kind: type[Course] | None = None,
) -> None:
    """Trains from `state.step` to `state.total_steps`, or until something sets `state.stop`.

    Evaluates on "val" every `eval_every` steps, logs every `log_every` and before an evaluation, saves when
    `save_every` seconds have passed since the last time; all three once more at the end. A signal ends the run at once:
    saved, but neither logged nor evaluated, so that a resumed run does that at the steps at which an unbroken would.
    `kind` is another kind of `Course`.
    """
    has_val = "val" in data.split_sizes
    course = (kind or Course)(state, schedule, callbacks, eval_every if has_val else None, log_every, save_every)
    batches = data.train(state.step)
    with course.running():
        while not state.done:
            course.set_rates()
            engine.backward(next(batches))
            course.emit("on_grad")
            engine.update()
            course.stepped()
            if course.log_is_due:
                course.log(engine.read_log())  # sync point: once per log_every steps, never per step
            if course.evaluation_is_due:
                engine.check()  # before bad figures are believed, and so that the clock stops when the device does
                course.clock.pause()
                course.evaluated(evaluate(engine, state.eval_model, data.eval("val"), "val", course.outputs()))
                if course.is_ending and state.losses:  # the evaluation ended the run
                    course.log(engine.read_log())
            if course.saving_is_due:
                engine.check()
                course.save()


def evaluate(
    measure: Measure,
    model: nn.Module,
    batches: Iterable[Batch],
    split: str,
    keep: list[tuple[Tensor, Tensor]] | None = None,
) -> dict[str, float]:
    """`{split}/loss` and every metric, exact over batches of any length; one sync point.

    Leaves the model in evaluation mode. `keep` takes the outputs and targets of every batch. Of several processes each
    brings its part of the examples, and measures with the buffers of the first; the figures are those of all.
    """
    model.eval()
    dist.spread(list(model.buffers()))
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
    if dist.world() > 1:
        *totals, counts = dist.total([*sums.values(), next(iter(sums.values())).new_full((), count)])
        sums, count = dict(zip(sums, totals, strict=True)), int(counts)
    finish = {name: metric.finish for name, metric in measure.metrics.items()}
    figures = [finish[name](total / count) if name in finish else total / count for name, total in sums.items()]
    return dict(zip((f"{split}/{name}" for name in sums), torch.stack(figures).tolist(), strict=True))


class Course:
    """What happens around the steps of one run: rates before them, and after them events, and when they are due.

    Without `eval_every` the run is never evaluated.
    """

    def __init__(
        self,
        state: State,
        schedule: Schedule,
        callbacks: Sequence[Callback],
        eval_every: int | None,
        log_every: int,
        save_every: float,
    ):
        self.state, self.schedule, self.handlers = state, schedule, handlers(callbacks)
        self.wants_outputs = any(callback.wants_outputs for callback in callbacks)
        self.eval_every, self.log_every, self.save_every = eval_every, log_every, save_every

    def emit(self, event: str, *args: Any) -> None:
        for handle in self.handlers[event]:
            handle(self.state, *args)

    @contextmanager
    def running(self) -> Iterator[None]:
        """From the first event to the last, and what becomes of the run's status."""
        state = self.state
        state.status = "failed"  # until the loop has come to its end
        try:
            self.emit("on_start")
            state.train_mode()
            self.clock = Clock(state)
            yield
            state.status = "finished" if not state.stop else "interrupted" if state.signal else "stopped"
        except NonFinite as error:
            del state.losses[len(state.losses) - (state.step - error.step) :]
            state.step = error.step  # where the weights are those of
            self.emit("on_checkpoint")
            raise
        finally:
            self.emit("on_end")

    def set_rates(self) -> None:
        """The learning rates of the step to come."""
        factor = self.schedule(self.state.step)
        for group in self.state.optim.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def stepped(self) -> None:
        """An update has been made."""
        self.state.step += 1
        self.clock.pause()
        self.emit("on_step")

    @property
    def is_ending(self) -> bool:
        """Whether the run comes to its end here, and not by a signal."""
        return self.state.step >= self.state.total_steps or bool(self.state.stop and not self.state.signal)

    @property
    def log_is_due(self) -> bool:
        return self.state.step % self.log_every == 0 or self.evaluation_is_due or self.is_ending

    @property
    def evaluation_is_due(self) -> bool:
        return self.eval_every is not None and (self.state.step % self.eval_every == 0 or self.is_ending)

    @property
    def saving_is_due(self) -> bool:
        return self.state.done or self.clock.since_save() >= self.save_every

    def log(self, figures: dict[str, float]) -> None:
        self.emit("on_log", figures | {"lr": self.state.lr, "samples_per_second": self.clock.rate()})

    def outputs(self) -> list[tuple[Tensor, Tensor]] | None:
        """Where an evaluation is to put its outputs and targets, if anybody wants them."""
        self.state.outputs = []
        return self.state.outputs if self.wants_outputs else None

    def evaluated(self, figures: dict[str, float]) -> None:
        self.state.metrics = figures
        self.state.train_mode()
        self.emit("on_eval", figures)
        self.state.outputs = []
        self.clock.resume()

    def save(self) -> None:
        self.clock.pause()
        self.emit("on_checkpoint")  # last at a step, so that nothing of it is lost on a resume
        self.clock.saved()


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
