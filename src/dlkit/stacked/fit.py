"""The loop of several runs: `trainer.fit` for all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from dlkit.build import Experiment
from dlkit.data.resident import ResidentData
from dlkit.guard import NonFinite
from dlkit.stacked.together import Together
from dlkit.trainer import Course
from dlkit.types import Batch

OURS = "dlkit.callbacks."  # callbacks of other modules may look at gradients at any event


class Member:
    """One of the runs, with what is to happen around its steps. `handlers` take what is logged on its behalf."""

    def __init__(self, run: Experiment, handlers: Sequence[logging.Handler] = ()):
        self.run, self.state, self.handlers = run, run.state, list(handlers)
        every = run.eval_every if "val" in run.data.split_sizes else None
        self.course = Course(
            run.state, run.schedule, run.callbacks, every, run.trainer.log_every, run.trainer.save_every
        )
        foreign = any(not type(one).__module__.startswith(OURS) for one in run.callbacks)
        self.wants_gradients = foreign or bool(self.course.handlers["on_grad"])

    def speaks(self) -> Course:
        """Its course; from now on the log is its own."""
        if self.handlers:
            logging.root.handlers = self.handlers
        return self.course


Leave = Callable[[Sequence[Member], Together, Mapping[Member, NonFinite]], None]


def fit(members: Sequence[Member], leave: Leave) -> None:
    """Trains the runs, which stand at the same step, until each of them has come to its end, of whatever kind.

    `leave` takes those that have, while they are still part of the stack, and of which a loss or gradient was not
    finite; the others go on in a stack of their own.
    """
    staying = list(members)
    while staying:
        together = Together([member.run for member in staying])
        going, errors = _until_some_end(staying, together)
        for k in range(len(staying)):
            together.keep_losses(k)
        leave([staying[k] for k in going], together, {staying[k]: error for k, error in errors.items()})
        for k in going:
            together.stack.release(k)
        staying = [member for k, member in enumerate(staying) if k not in going]


def _until_some_end(members: list[Member], together: Together) -> tuple[list[int], dict[int, NonFinite]]:
    """Steps until at least one of the runs is over; the numbers of those, and what is not finite in which."""
    batches = _batches(members)
    guarded = members[0].run.trainer.nan_guard
    wants_gradients = [member for member in members if member.wants_gradients]
    told = [member for member in members if member.course.handlers["on_step"]]
    for member in members:
        member.course.clock.resume()
    over = [k for k, member in enumerate(members) if member.state.done]  # a signal came while others left
    _save(members, together, over)
    while not over:
        for member in members:
            member.course.set_rates()
        together.backward(next(batches))
        if wants_gradients:
            together.stack.give_gradients()
            for member in wants_gradients:
                member.speaks().emit("on_grad")
        if guarded and (bad := together.bad()):
            for member in members:
                member.course.clock.pause()
            together.void()
            return _ended_by(bad, members, together)
        together.step()
        step = members[0].state.step + 1
        for member in members:
            member.state.step = step
        for member in told:
            member.speaks().emit("on_step")
        over = _report(members, together) if _something_is_due(members) else []
    return over, {}


def _ended_by(bad: dict[int, str], members: list[Member], together: Together) -> tuple[list[int], dict[int, NonFinite]]:
    step = members[0].state.step
    return list(bad), {k: NonFinite(step, what, members[k].run.engine.overflow) for k, what in bad.items()}


def _something_is_due(members: list[Member]) -> bool:
    """Whether any course has something due: one is asked, since all have the same lengths, and whether any stops."""
    course = members[0].course
    return course.log_is_due or course.saving_is_due or any(member.state.stop for member in members)


def _report(members: list[Member], together: Together) -> list[int]:
    """What is due after a step: logs, evaluations, checkpoints; the numbers of the runs that are over."""
    for member in members:
        member.course.clock.pause()
    due = [k for k, member in enumerate(members) if member.course.log_is_due]
    if due:
        figures = together.read_log()
        for k in due:
            members[k].speaks().log(figures[k])
        together.forget_losses(due)
    due = [k for k, member in enumerate(members) if member.course.evaluation_is_due]
    if due:
        for member in members:
            member.course.clock.pause()
        figures = together.evaluate("val")
        for k in due:
            members[k].speaks().evaluated(figures[k])
    done = [k for k, member in enumerate(members) if member.state.done]
    if any(member.course.saving_is_due for member in members):  # all, so that they can go on together
        _save(members, together, done or range(len(members)))
    for member in members:
        member.course.clock.resume()
    return done


def _save(members: list[Member], together: Together, which: Iterable[int]) -> None:
    for k in which:
        together.keep_losses(k)
        members[k].speaks().save()


def _batches(members: list[Member]) -> Iterator[Batch]:
    """Batches (K, B, …) from the step at which the runs are."""
    first, *others = [cast(ResidentData, member.run.data) for member in members]
    return first.train_with(others, members[0].state.step)
