"""The command line of a run that may go on with an earlier one."""

from __future__ import annotations

from pathlib import Path

from dlkit import runs
from dlkit.cli import preflight
from dlkit.cli.preflight import Checked
from dlkit.settings import GROUPS, config_folder
from dlkit.trust import refuse_untrusted

TRUST = "--trust"


def check(args: list[str]) -> Checked:
    """Judges a command line; with `resume=DIR` against the config saved there, ValueError where there is none.

    What that config names is judged before anything is imported, but for `--trust`, which is taken out here.
    """
    trust = TRUST in args
    args = [arg for arg in args if arg != TRUST]
    wanted = _value(args, "resume")
    if wanted in (None, "auto", "null"):
        if trust:
            raise ValueError(f"{TRUST}: is for resume=DIR, whose config it lets name any code; leave it out")
        checked = preflight.check(args, config_folder())
        if checked.multirun and (wanted == "auto" or _value(args, "run_dir")):
            raise ValueError("run_dir and resume are for one run; a sweep (-m) makes a folder for each of its jobs")
        return checked
    folder = Path(str(wanted))
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"resume={folder}: there is no run; a run's folder holds config.yaml")
    config = runs.read_config(folder)
    if not trust:
        refuse_untrusted(config, folder)
    rest = [arg for arg in args if not arg.startswith("resume=")]
    for arg in rest:
        if arg.partition("=")[0] in (*GROUPS, "run_dir", "init_from", "freeze"):
            raise ValueError(
                f"{arg}: a run that goes on keeps this; for another run with its weights: init_from={folder}"
            )
    checked = preflight.check_saved(rest, config)
    if checked.multirun or checked.flags.cfg:
        flag = "-m" if checked.multirun else "--cfg"
        raise ValueError(
            f"resume={folder}: goes on with the one run whose config is {folder}/config.yaml; leave out {flag}"
        )
    if checked.config is not None:
        checked.config.resume = str(folder)
    return checked


def _value(args: list[str], key: str) -> str | None:
    """The value of an option, before anything is composed."""
    values = [arg.partition("=")[2].strip("'\"") for arg in args if arg.startswith(f"{key}=")]
    return values[-1] if values else None
