"""One run, from its config to its result: build, announce, train, measure, record."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig
from torch import nn

from dlkit import dist, show
from dlkit.build import Experiment, build
from dlkit.config_text import as_yaml
from dlkit.final import check, viewed
from dlkit.guard import NonFinite
from dlkit.lectures.concluding import conclude
from dlkit.log import Log, log
from dlkit.parallel import ParallelCourse, ParallelEngine
from dlkit.result import final_figures, make_result
from dlkit.rundir import environment, load, locked, write_json, write_text
from dlkit.settings import GROUPS
from dlkit.state import State
from dlkit.trainer import Course, fit


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    folder: Path
    result: dict[str, Any]  # the content of result.json; empty for a dry run
    model: nn.Module  # as `dlkit.load` gives it: what the config's `final` says; of a run cut short, as it was

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, as `pandas.DataFrame` takes them."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]


def run(
    cfg: DictConfig,
    folder: Path,
    arguments: Sequence[str] = (),
    resumes: bool = False,
    choices: Mapping[str, str] | None = None,
) -> Run:
    """Trains what the config says, in `folder`.

    `arguments` are those of the command line, `choices` the files chosen, both for the record; `resumes` goes on from
    checkpoints/last.pt. Raises ValueError, with nothing written, for what the config asks and cannot be; whatever user
    code raises passes through, after the result has been written as failed. A lecture's figure that cannot draw the run
    raises ValueError, too, once it is over.
    """
    with ExitStack() as cleanup:
        logging = Log()
        cleanup.callback(logging.close)
        dist.join()
        folder = dist.tell(folder)
        with dist.together():
            saved = load(folder / "checkpoints" / "last.pt") if resumes else None
            experiment = build(cfg, folder, saved)
            check(experiment)
        state = experiment.state
        if cfg.dry_run:
            show.opening(experiment, saved, choices or {})
            show.dry_run(experiment)
            return Run(folder, {}, state.model)
        with dist.together():
            if dist.rank() == 0:
                where = whereabouts(experiment, arguments, choices or {})
                state.folder = cleanup.enter_context(opened(folder, experiment, where))
        state.folder = dist.tell(state.folder)
        show.opening(experiment, saved, choices or {})
        if dist.rank() == 0:
            logging.open(state.folder / "train.log")
        result = _train(experiment)
        if cfg.figure and dist.rank() == 0 and not state.is_job and (finding := conclude(state.folder)):
            result["finding"] = finding
            write_json(result, state.folder / "result.json")
        return Run(state.folder, result, viewed(state.eval_model, experiment.final).eval())


def whereabouts(experiment: Experiment, arguments: Sequence[str], choices: Mapping[str, str]) -> dict[str, Any]:
    """What env.json says of a run: where it came from, which files were chosen, what it sees."""
    where = environment(list(arguments), experiment.device, experiment.data.fingerprint())
    where["choices"] = chosen(choices)
    where["examples"] = dict(experiment.data.split_sizes)
    return where


def chosen(choices: Mapping[str, str]) -> dict[str, str]:
    """The file chosen of each group that has one."""
    return {group: choices[group] for group in GROUPS if choices.get(group) not in (None, "None")}


@contextmanager
def opened(folder: Path, experiment: Experiment, where: dict[str, Any]) -> Iterator[Path]:
    """The folder of the run, held for this process, with config and environment in it."""
    resumes = experiment.state.step > 0
    if experiment.state.config["run_dir"] is None and not resumes:
        folder = _unused(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        made_last = [folder / "result.json", folder / "checkpoints" / "average.pt"]
        for path in [*made_last, *([] if resumes else _leftovers(folder))]:
            path.unlink(missing_ok=True)
        if resumes:
            first = json.loads((folder / "env.json").read_text())
            where = first | {"resumed": [*first.get("resumed", []), where | {"step": experiment.state.step}]}
        write_json(where, folder / "env.json")
        write_text(as_yaml(experiment.state.config), folder / "config.yaml")
        yield folder


def _unused(folder: Path) -> Path:
    """The folder, or one with a number: two runs started in the same second get two."""
    number = 1
    while True:
        chosen = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            chosen.mkdir(parents=True)
            return chosen
        except FileExistsError:
            number += 1


def _leftovers(folder: Path) -> list[Path]:
    """Files of a run that was killed before its first checkpoint."""
    return [
        path for pattern in ("events.out.tfevents.*", "metrics.jsonl", "train.log") for path in folder.glob(pattern)
    ]


def _train(experiment: Experiment) -> dict[str, Any]:
    with recorded(experiment) as ending, stop_on_signal(experiment.state):
        _fit(experiment)
        ending.figures = {} if experiment.state.signal else final_figures(experiment)
    return ending.result


@dataclass
class Ending:
    """What comes out of a run."""

    figures: dict[str, Any] = field(default_factory=dict)  # the final ones, where there are any
    result: dict[str, Any] = field(default_factory=dict)  # the content of result.json


@contextmanager
def recorded(experiment: Experiment) -> Iterator[Ending]:
    """Writes result.json, whatever happens within, with the figures that the ending has by then, and tells the user.

    A loss or gradient that is not finite ends the run, which has failed; all else is raised on.
    """
    state, ending = experiment.state, Ending()
    reason = ""
    try:
        yield ending
        state.status = "interrupted" if state.signal else state.status
        reason = state.stop
    except NonFinite as error:
        reason = str(error)
        log.error("%s", reason)
    except BaseException as error:
        state.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        reason = f"{type(error).__name__}: {error}"
        raise
    finally:
        ending.result = make_result(experiment, reason, ending.figures)
        write_json(ending.result, state.folder / "result.json")
        for callback in experiment.callbacks:
            callback.on_result(state, ending.result)
    show.closing(experiment, ending.result)


def _fit(run: Experiment) -> None:
    if isinstance(run.engine, ParallelEngine):
        run.engine.join()
        run.data.share(dist.rank(), dist.world())
    fit(
        *(run.state, run.engine, run.data, run.schedule, run.callbacks),
        eval_every=run.eval_every,
        log_every=run.trainer.log_every,
        save_every=run.trainer.save_every,
        kind=ParallelCourse if dist.world() > 1 else Course,
    )


@contextmanager
def stop_on_signal(*states: State) -> Iterator[None]:
    """Ctrl-C and SIGTERM end these runs after the step at hand; a second one ends them at once."""
    if threading.current_thread() is not threading.main_thread():  # only there can Python handle signals
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if any(state.asked for state in states):
            raise KeyboardInterrupt
        for state in states:
            state.asked = number
            if dist.world() == 1:
                state.end_by(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
