"""Whether the parts of each job of a sweep fit together: what no option shows alone."""

from __future__ import annotations

import multiprocessing
import warnings
from contextlib import suppress
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from dlkit.cli.preflight import Checked
from dlkit.cli.preflight.points import Point


def misfits(checked: Checked) -> list[str]:
    """The mistakes of those jobs of a sweep in whose options nothing is wrong, found by building what they build."""
    points, composer = checked.points, checked.composer
    if points is None or composer is None:
        return []
    wrong = set(points.having(checked.wrong))
    configs: dict[Point, dict[str, Any]] = {}
    for point in points:
        if point not in wrong:
            try:
                configs[point] = composer.compose([*points.fixed, *point])[0]
            except (HydraException, OmegaConfBaseException):  # as where the job's number is asked for
                continue
    having: dict[str, list[Point]] = {}
    for point, lines in zip(configs, _rehearsed(list(configs.values()), checked.local), strict=True):
        for line in lines:
            having.setdefault(line, []).append(point)
    return [points.told(line, of) for line, of in having.items()]


def _rehearsed(configs: list[dict[str, Any]], here: bool) -> list[list[str]]:
    """`Rehearsal.mistakes` of each, in a copy of the process of which local jobs will be copies too, so that torch is
    imported once, and what is built here is gone afterwards."""
    from dlkit.sweeps.launchers.processes import begin

    if not configs:
        return []
    process, answers = begin(_rehearse, configs, here, name="preflight")
    try:
        return answers.recv()
    except EOFError:  # it was killed, for memory perhaps: the jobs will tell
        return [[] for _ in configs]
    except KeyboardInterrupt:
        process.kill()
        raise
    finally:
        process.join()


def _rehearse(configs: list[dict[str, Any]], here: bool, answers: Any) -> None:
    from dlkit.cli.preflight.rehearsal import Rehearsal
    from dlkit.sweeps.launchers.processes import watch

    watch(multiprocessing.parent_process())
    warnings.simplefilter("ignore")  # the jobs will warn
    rehearsal = Rehearsal(here)
    with suppress(BrokenPipeError):  # nobody waits any more
        answers.send([rehearsal.mistakes(config) for config in configs])
