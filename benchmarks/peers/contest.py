"""Contestants in processes of their own, one at work while the others wait.

Allocator, precision and threads are settings of a process, so contestants that share one would spoil each other.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

Round = Callable[[int], Any]  # does so much work and tells what was measured
CONTEXT = multiprocessing.get_context("spawn")
PAUSE = 0.05  # seconds in which the threads of the last one go to sleep


@dataclass(frozen=True)
class Contestant:
    """A function `module:name` that, called with the options, makes a Round; `work` is what it does in a round."""

    place: str
    work: int
    options: dict[str, Any] = field(default_factory=dict)


class Child:
    """A process that holds a Round."""

    def __init__(self, contestant: Contestant):
        self.pipe, there = CONTEXT.Pipe()
        args = (there, contestant.place, contestant.options)
        self.process = CONTEXT.Process(target=serve, args=args, daemon=True)
        self.process.start()
        there.close()
        self.ready = False

    def ask(self, work: int) -> Any:
        """What a round of so much work measures. Raises RuntimeError with the child's traceback where it failed."""
        self.wait()
        time.sleep(PAUSE)
        self.pipe.send(work)
        return self._receive()

    def wait(self) -> None:
        """Until the Round is made."""
        if not self.ready:
            self._receive()
            self.ready = True

    def _receive(self) -> Any:
        try:
            failed, value = self.pipe.recv()
        except EOFError as error:
            raise RuntimeError("its process has ended") from error
        if failed:
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        self.pipe.close()
        self.process.join(5)
        self.process.kill()


def serve(pipe: Connection, place: str, options: dict[str, Any]) -> None:
    """In the child: makes the Round, then does as it is told until the pipe is closed."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # bars, tips and warnings
        os.dup2(silence, stream)
    module, _, name = place.partition(":")
    try:
        work = getattr(importlib.import_module(module), name)(**options)
        pipe.send((False, None))
        while True:
            pipe.send((False, work(pipe.recv())))
    except (EOFError, BrokenPipeError):
        os._exit(0)  # no peer's clearing up delays the others
    except BaseException:
        pipe.send((True, traceback.format_exc()))


def turns(works: Mapping[Any, Callable[[], Any]], rounds: int, warm_up: bool = True) -> dict[Any, list[Any]]:
    """What each gives in every round, after one that is not counted. Who begins changes from round to round.

    One that raises RuntimeError is told of on stderr and left out.
    """
    found: dict[Any, list[Any]] = {name: [] for name in works}
    chance = random.Random(0)
    for number in range(rounds + warm_up):
        for name in chance.sample(list(found), len(found)):
            try:
                value = works[name]()
            except RuntimeError as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
                del found[name]
                continue
            if number or not warm_up:
                found[name].append(value)
    return found


def race(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[Any]]:
    """What each measures in its turns; all begin at once, and the race when all are ready."""
    children = {name: Child(contestant) for name, contestant in contestants.items()}
    try:
        for child in children.values():
            child.pipe.poll(None)  # what came of it is met in its first turn
        return turns({name: partial(child.ask, contestants[name].work) for name, child in children.items()}, rounds)
    finally:
        for child in children.values():
            child.close()


def once(contestant: Contestant) -> Any:
    """What a contestant measures in a process of its own, in one round."""
    child = Child(contestant)
    try:
        return child.ask(contestant.work)
    finally:
        child.close()
