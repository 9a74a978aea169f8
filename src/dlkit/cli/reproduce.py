"""Train a run again from its recorded config, and tell what comes out otherwise: `dlkit reproduce RUN`.

Says first what is not as it was: commit, versions, device, threads; then, in a new folder, trains as the run's config
says, and compares the data, the final metrics and the bits of the final weights. Options behind RUN change the config:
`dlkit reproduce RUN data.root=/new/place trainer.device=cpu`. Ends with 0 where the weights are the same (the metrics,
where the weights of the first run are gone), with 1 where something differs.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlkit import mistakes, records, runs
from dlkit.begin import start
from dlkit.cli import preflight
from dlkit.cli.arguments import Parser
from dlkit.mistakes import answered
from dlkit.records import Record
from dlkit.settings import GROUPS
from dlkit.trust import flag, refuse_untrusted


def main(args: list[str] | None = None) -> None:
    """Trains, prints the comparison and exits: 0 the same, 1 differs, 2 a mistake, 128 + signal if interrupted."""
    parser = Parser("reproduce", __doc__)
    parser.add_argument("run", metavar="RUN", help="a run's folder, or latest: the newest under outputs")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="options to change, as for dlkit train")
    parser.add_argument("--out", metavar="DIR", help="the new run's folder; default: outputs/<date>/<time>-<name>")
    parser.add_argument("--trust", action="store_true", help="let the run's config name any code")
    flags = parser.parse_args(sys.argv[1:] if args is None else args)
    with answered():
        folder = runs.find(flags.run)
        config = runs.read_config(folder)
        if not flags.trust:
            refuse_untrusted(config, folder)
        first = records.read(folder)
        _refuse_unfinished(first)
        begin = start(_changed(config, flags.words, flags.out), first.choices)
        sys.exit(_compared(first, begin.config, begin.folder, flags.words))


def _refuse_unfinished(run: Record) -> None:
    """Raises ValueError for a run that has no end to compare with."""
    if run.status == "running":
        raise ValueError(f"{run.folder}: is at work still; wait for its end")
    if run.status in ("interrupted", "killed"):
        at = f" at step {run.result['step']}" if "step" in run.result else ""
        raise ValueError(
            f"{run.folder}: was {run.status}{at}, so there is no end to compare with; let it end first: dlkit train "
            f"resume={run.folder}{flag(run.config)}"
        )
    if run.problems:
        raise ValueError(f"{run.folder}: {run.problems[0]}, so there is nothing to compare with")


def _changed(config: dict[str, Any], words: list[str], out: str | None) -> DictConfig:
    """A run's config with the options typed, judged as that of a run to train. Raises ValueError for mistakes."""
    for word in words:
        key = word.partition("=")[0].lstrip("+~")
        if key in (*GROUPS, "run_dir", "resume"):
            hint = "--out names the new folder" if key == "run_dir" else "for another run: dlkit train"
            raise ValueError(f"{word}: reproduce keeps this and changes options only, as in data.root=DIR; {hint}")
    same = {"run_dir": out, "resume": None, "dry_run": False, "figure": None}  # a figure may want all runs of a sweep
    checked = preflight.check_saved(words, config | same)
    if checked.mistakes or checked.config is None:
        raise ValueError("\n".join(preflight.summary(checked.mistakes)) or f"{' '.join(words)}: one run at a time")
    source = checked.config.init_from
    if source is not None and not Path(source).exists():
        raise ValueError(f"init_from={source}: the weights that the run began with are gone; init_from=DIR if moved")
    return checked.config


def _compared(first: Record, cfg: DictConfig, folder: Path, words: list[str]) -> int:
    """Trains, shows both runs side by side; the exit code."""
    from dlkit import reproduce  # torch: 0.8 s, which a mistyped command does not pay
    from dlkit.log import console

    then = reproduce.Made.read(first.folder)
    rows = reproduce.settings(then.env, reproduce.here(_plain(cfg)))
    console.print(f"{first.folder}, then and now\n", markup=False)
    console.print(reproduce.settings_table(rows), markup=False)
    console.print()
    folder = _trained(cfg, folder, words, first)
    now = reproduce.Made.read(folder)
    if now.result["status"] == "interrupted":
        print("interrupted: nothing is compared", file=sys.stderr)
        return 128 + int(now.result["signal"])
    console.print()
    console.print(
        reproduce.settings_table([row for row in reproduce.settings(then.env, now.env) if row.what == "data"])
    )
    console.print()
    console.print(reproduce.metrics_table(then, now))
    verdict = reproduce.verdict(then, now, words)
    print(f"\n{verdict.line}")
    return 0 if verdict.reproduced else 1


def _trained(cfg: DictConfig, folder: Path, words: list[str], first: Record) -> Path:
    """The folder of the new run, which may have failed. Raises ValueError where it cannot begin."""
    from dlkit.run import run

    try:
        return run(cfg, folder, words, choices=first.choices).folder
    except Exception as error:
        cause = mistakes.cause(error)
        if (folder / "result.json").is_file():
            traceback.print_exception(cause)
            return folder
        if mistakes.is_mistake(cause):
            raise ValueError(f"{cause}{_moved(first, _plain(cfg))}") from None
        raise


def _moved(first: Record, config: dict[str, Any]) -> str:
    """What to do where a file was not found since it is named from the folder in which the run was started."""
    before = first.env.get("folder")
    places = {key: value for key, value in config["data"].items() if key == "root" or key.endswith("path")}
    relative = [
        key for key, value in places.items() if isinstance(value, str) and not Path(value).expanduser().is_absolute()
    ]
    if not relative or before in (None, str(Path.cwd())):
        return ""
    return f"; the run was started in {before}: go there, or add data.{relative[0]}=…"


def _plain(cfg: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
