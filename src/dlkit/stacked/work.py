"""Several runs as a process trains them: built, tried, cut to what fits into memory, and each brought to its result."""

from __future__ import annotations

import logging
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from logging.handlers import MemoryHandler

from omegaconf import DictConfig, OmegaConf

from dlkit.begin import start
from dlkit.build import Experiment, build
from dlkit.data.resident import ResidentData
from dlkit.final import check
from dlkit.guard import NonFinite
from dlkit.log import log
from dlkit.making import remembering
from dlkit.records import is_running
from dlkit.run import chosen, stop_on_signal, whereabouts
from dlkit.rundir import load
from dlkit.stacked.calibrate import gain
from dlkit.stacked.final import figures_of
from dlkit.stacked.fit import Member, fit
from dlkit.stacked.forward import Refused
from dlkit.stacked.lives import Asked, Life
from dlkit.stacked.memory import fitting
from dlkit.stacked.together import Together

PAYS = 1.1  # so many times faster a step must be


class Teller:
    """Takes what is to be told as the work goes on."""

    def begins(self, name: str) -> None:
        """The run of this name begins."""

    def ended(self, name: str) -> None:
        """It has come to its end, of whatever kind, and its result is written."""

    def alone(self, names: Sequence[str], why: str) -> None:
        """These must be trained by themselves; an empty reason will come out there."""

    def gains(self, names: Sequence[str], times: float) -> None:
        """These are trained as one model, so many times faster a step."""


def train(asked: Sequence[Asked], teller: Teller, processes: int = 1) -> None:
    """Trains the runs as one, as far as they can be; those that cannot be are named to the teller.

    Their configs agree in all that `sweeps.launchers.stackable` does not let differ. `processes` share the memory.
    Nothing is written before it is known that a run is trained here.
    """
    with _heard(), remembering():
        cfg, before = OmegaConf.create(dict(asked[0].config)), asked[0]
        first: Life | None = None
        rest = deque(asked)
        while rest and first is None:
            first, before = _built(rest[0], before, cfg, None, teller), rest.popleft()
        lives = [first] if first else []
        like = first.run if first else None
        if like and not isinstance(like.data, ResidentData):
            teller.alone([one.name for one in asked], "their data is streamed from files")
            return
        most = min(fitting(like, processes), _openable()) if like else 1
        size = -(-(1 + len(rest)) // -(-(1 + len(rest)) // most))  # of equal parts
        while lives or rest:
            while rest and len(lives) < size:
                lives += [life] if (life := _built(rest[0], before, cfg, like, teller)) else []
                before = rest.popleft()
            lives = _at_one_step(lives, teller)
            _tried(lives, teller)
            if any(life.run.state.asked for life in lives):  # a signal is for those, too, that have not begun
                return
            lives = []


def _built(asked: Asked, before: Asked, cfg: DictConfig, like: Experiment | None, teller: Teller) -> Life | None:
    """A run that is ready; None where it is a matter for a process of its own: done, at work, or a mistake.

    `cfg` holds the config of the one `before`; making it anew would take 3 ms.
    """
    early = MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)
    logging.root.handlers = [early]
    for key, node in asked.config.items():
        if before.config[key] != node:
            cfg[key] = node
    saved = None
    last = asked.folder / "checkpoints" / "last.pt"
    try:
        if is_running(asked.folder):
            raise Refused("another process is at work on it")
        if last.is_file():
            going_on = cfg.copy()
            going_on.resume = "auto"
            if start(going_on, dict(asked.choices)).ended:
                raise Refused("it is done")
            saved = load(last)
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)  # each is told what the first is told
            run = build(cfg, asked.folder, saved, like)
            check(run)
    except Exception:  # is told by the process that tries it again
        teller.alone([asked.name], "")
        return None
    return Life(asked, run, saved, early)


def _at_one_step(lives: Sequence[Life], teller: Teller) -> list[Life]:
    """Those at the step where most are; of an interrupted sweep the others go on alone."""
    steps = Counter(life.run.state.step for life in lives)
    step = steps.most_common(1)[0][0] if steps else 0
    if others := [life.asked.name for life in lives if life.run.state.step != step]:
        teller.alone(others, "their checkpoints are of other steps")
    return [life for life in lives if life.run.state.step == step]


def _openable() -> int:
    """Runs whose files can be open at once: of each its lock, two logs, figures, events and what is being written."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 80
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(1, (soft - 100) // 6)


def _tried(lives: Sequence[Life], teller: Teller) -> None:
    """Trains them as one if that is right and pays."""
    names = [life.asked.name for life in lives]
    if len(lives) < 2:
        teller.alone(names, "")
        return
    try:
        times = gain([life.run for life in lives])
    except Refused as why:
        teller.alone(names, str(why))
        return
    if times < PAYS:
        teller.alone(names, f"as one model they would train {times:.2g} x as fast as one after another (measured)")
        return
    teller.gains(names, times)
    _trained(lives, teller)


def _trained(lives: Sequence[Life], teller: Teller) -> None:
    """From the runs' folders to their results."""
    first = lives[0]
    where = whereabouts(first.run, (), {}) | {"stacked": len(lives)}
    by_member: dict[Member, Life] = {}

    def leave(members: Sequence[Member], together: Together, errors: Mapping[Member, NonFinite]) -> None:
        for member in members:
            by_member[member].end_training(errors.get(member))
        well = [member for member in members if member not in errors]
        figures = dict(zip(well, figures_of([member.run for member in well], together), strict=True))
        for member in members:
            by_member[member].end(figures.get(member, {}), errors.get(member))
            teller.ended(by_member[member].asked.name)

    with stop_on_signal(*(life.run.state for life in lives)):
        for life in lives:
            own = {"arguments": list(life.asked.arguments), "choices": chosen(life.asked.choices)}
            by_member[life.begin(where | own, first)] = life
            teller.begins(life.asked.name)
        fit(list(by_member), leave)


@contextmanager
def _heard() -> Iterator[None]:
    """What is said goes to whoever `logging.root` is set to; warnings too."""
    before, level = logging.root.handlers[:], logging.root.level
    logging.root.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *where, **more: log.warning("%s", message)
            yield
    finally:
        logging.root.handlers = before
        logging.root.setLevel(level)
