"""Train a model: `dlkit train model=cnn optim=adam data=mnist`; -m sweeps, --help explains."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from dlkit import dist, mistakes
from dlkit.begin import Start, start
from dlkit.cli import dry_sweep, preflight, resume
from dlkit.settings import config_folder

MOST = 20  # mistakes of a sweep that are told
OF_ONE_PROCESS = "a sweep begins processes of its own; leave out torchrun, or train one model with it"
EXIT_CODES = {"finished": 0, "stopped": 0, "failed": 1}  # interrupted: 128 + the signal's number, as shells do


def main(args: list[str] | None = None) -> None:
    """Checks the command line, then trains; exits with 2 for a mistake, with 1 for a run that failed.

    A single run is composed here. A sweep goes through Hydra, its launchers and sweepers, and so do `--cfg`, `--info`
    and the like, which only show something.
    """
    words = sys.argv[1:] if args is None else args
    if {"-m", "--multirun"} & set(words) and dist.world() == 1:
        from dlkit.sweeps.launchers.processes import server

        server()  # imports torch, in seconds, while the command is judged
    dist.join()
    try:
        with dist.together():
            checked, begin = _judged(words)
    except ValueError as error:
        try:
            preflight.refuse(*(error.args if isinstance(error, Mistakes) else ([str(error)],)))
        finally:
            dist.farewell(2)
    except dist.Elsewhere:
        sys.exit(dist.farewell(0))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if dist.rank() == 0 or (begin and not begin.ended):  # the first process shows what there is to show
        _do(checked, begin)


class Mistakes(ValueError):
    """Several at once; its arguments are those of `preflight.refuse`."""


def _judged(words: list[str]) -> tuple[preflight.Checked, Start | None]:
    """What the command line means, and where its run begins, if it is one. Raises ValueError for mistakes."""
    checked = resume.check(words)
    if checked.trains_sweep and dist.world() > 1:
        raise ValueError(f"-m: {OF_ONE_PROCESS}")
    if checked.trains_sweep:
        from dlkit.cli.preflight.fitting import misfits
        from dlkit.log import console

        with console.status("checking all jobs"):
            checked.mistakes += misfits(checked)
    if checked.mistakes:
        causes = checked.causes if checked.debug else None
        raise Mistakes(checked.mistakes, causes, MOST if checked.trains_sweep else 3)
    return checked, start(checked.config, checked.choices) if checked.config is not None else None


def _do(checked: preflight.Checked, begin: Start | None) -> None:
    """What the command line asks for: to show something, to sweep or to train."""
    if checked.trains_sweep and dry_sweep.wanted(checked):
        dry_sweep.show(checked)
    elif checked.flags.help:
        from dlkit.cli import help

        help.show(checked.overrides, config_folder(), checked.flags.config_dir)
    elif any(word.startswith("query=") for word in checked.argv):
        from dlkit.cli import completion

        with completion.as_the_preflight():
            _through_hydra(checked.argv)
    elif begin is None:
        _through_hydra(checked.argv)
    elif begin.ended:
        print(begin.ended)
    else:
        sys.exit(_run(begin.config, begin.folder, checked.overrides, checked.choices, begin.resumes))


def _through_hydra(argv: list[str]) -> None:
    """Runs a sweep; launchers of others than dlkit call `task` for each job."""
    import hydra

    codes: list[int] = []

    def task(cfg: DictConfig) -> int:
        from hydra.core.hydra_config import HydraConfig

        from dlkit.rundir import remove_empty

        job = HydraConfig.get()
        cfg.run_dir = job.runtime.output_dir
        codes.append(_run(cfg, Path(cfg.run_dir), list(job.overrides.task), dict(job.runtime.choices)))
        remove_empty(Path(cfg.run_dir))  # where the job was refused
        if codes[-1] > 128:  # a signal is meant for the whole sweep
            raise SystemExit(codes[-1])
        return codes[-1]

    sys.argv = [sys.argv[0], *argv]
    try:
        hydra.main(config_path=str(config_folder()), config_name="train", version_base="1.3")(task)()
    except KeyboardInterrupt:  # before there was anything to end
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(max(codes, default=0))


def _run(cfg: DictConfig, folder: Path, arguments: list[str], choices: dict[str, str], resumes: bool = False) -> int:
    """Runs one config; the exit code. A mistake in it is one line, an error in user code has its traceback."""
    from dlkit.run import run  # torch: 0.8 s, which a mistyped command does not pay

    try:
        result = run(cfg, folder, arguments, resumes, choices).result
    except dist.Elsewhere:
        return dist.farewell(0)
    except Exception as error:
        return dist.farewell(_told(mistakes.cause(error), cfg.debug))
    except KeyboardInterrupt:
        if dist.rank() == 0:
            print("interrupted", file=sys.stderr)
        return 130
    return _exit_code(result) if result else 0


def _told(error: BaseException, debug: bool) -> int:
    """The exit code of what failed, which is told on stderr."""
    is_mistake = mistakes.is_mistake(error)
    if dist.world() > 1 and dist.is_lost(error):
        print(f"process {dist.rank()}: another process is gone", file=sys.stderr)
        return 1
    if debug or not is_mistake:
        traceback.print_exception(error)
    if is_mistake:
        print(error, file=sys.stderr)
    return 2 if is_mistake else 1


def _exit_code(result: dict[str, Any]) -> int:
    status = result["status"]
    if not result.get("finding", {}).get("holds", True):
        return 1
    return 128 + result["signal"] if status == "interrupted" else EXIT_CODES[status]
