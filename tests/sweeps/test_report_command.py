"""`dlkit report` and the end of a sweep: what is printed, what is written, how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.utils import JobReturn, JobStatus
from made_sweeps import figures, make_sweep
from rich.console import Console

from dlkit.cli import main
from dlkit.rundir import locked
from dlkit.sweeps.report import page, read, terminal
from dlkit.sweeps.report.figures import report
from dlkit.sweeps.sweepers.finish import exit_code, finish

Capture = pytest.CaptureFixture[str]
SWEPT = {"model": ["mlp", "cnn"], "optim.lr": ["0.1", "1"], "seed": ["0", "1", "2"]}
FILES = ["report.csv", "jobs.csv", "report.html"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def result(job: dict[str, str]) -> dict[str, object] | None:
    if job["model"] == "cnn" and job["optim.lr"] == "1":
        return {"status": "failed", "reason": "the loss is not finite", "metrics": {}}
    if (job["model"], job["optim.lr"], job["seed"]) == ("mlp", "1", "2"):
        return None
    value = 0.8 + int(job["seed"]) / 100 + 0.1 * (job["model"] == "cnn") + (job["optim.lr"] == job["seed"]) / 50
    return figures(value, value - 0.05)


def sweep(name: str = "s") -> Path:
    return make_sweep(f"outputs/sweeps/{name}", SWEPT, result)


@pytest.fixture
def bare_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures, which take time."""
    monkeypatch.setattr(page, "write", lambda report, path: path.write_text("<p>a page"))


def ended(code: int, *words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["report", *words])
    assert end.value.code == code


def test_the_command_prints_the_groups_the_best_what_failed_and_where_the_files_are(capsys: Capture) -> None:
    folder = sweep()
    ended(1, "s")
    out = capsys.readouterr().out
    assert "12 jobs: 8 finished, 3 failed, 1 waiting" in out
    assert "Best: model=cnn, optim.lr=0.1: test accuracy 0.8600 ± 0.0100 (n=3" in out
    assert "  model=cnn,optim.lr=1,seed=0: the loss is not finite\n    outputs/sweeps/s/model=cnn" in out
    assert "\n`dlkit sweep resume outputs/sweeps/s hydra.launcher.rerun_failed=true` begins them again\n" in out
    assert "1 waiting: model=mlp,optim.lr=1,seed=2\n`dlkit sweep resume outputs/sweeps/s`" in out
    assert out.endswith("".join(f"{folder / name}\n" for name in FILES))


@pytest.mark.usefixtures("bare_page")
def test_of_a_sweep_that_runs_nothing_is_said_of_going_on_with_it(capsys: Capture) -> None:
    with locked(sweep()):
        ended(1, "s")
    out = capsys.readouterr().out
    assert "1 waiting: model=mlp,optim.lr=1,seed=2" in out and "dlkit sweep resume" not in out


@pytest.mark.usefixtures("bare_page")
def test_the_exit_code_is_0_where_no_job_failed() -> None:
    make_sweep("s", {"seed": ["0", "1"]}, lambda job: {})
    ended(0, "s")


def test_a_mistake_is_one_line_and_writes_nothing(capsys: Capture) -> None:
    folder = sweep()
    ended(2, "s", "--metric", "acc")
    assert capsys.readouterr().err.count("\n") == 1
    assert not any((folder / name).exists() for name in FILES)


@pytest.mark.usefixtures("bare_page")
def test_the_csv_files_have_a_row_for_each_group_and_for_each_job() -> None:
    folder = sweep()
    ended(1, "s")
    groups, jobs = pd.read_csv(folder / "report.csv"), pd.read_csv(folder / "jobs.csv")
    assert groups[["model", "jobs", "done", "failed", "waiting"]].to_numpy().tolist() == [
        ["cnn", 3, 3, 0, 0],
        ["mlp", 3, 2, 0, 1],
        ["mlp", 3, 3, 0, 0],
        ["cnn", 3, 0, 3, 0],
    ]
    done = jobs[jobs["status"] == "finished"].groupby(["model", "optim.lr"])["test/accuracy"].mean()
    for row in groups[groups["done"] > 0].to_dict("records"):
        assert row["test/accuracy_mean"] == pytest.approx(done[row["model"], row["optim.lr"]], rel=1e-12)
    assert len(jobs) == 12 and {"job", "status", "reason", "seconds", "best_value", "val/accuracy"} <= set(jobs)
    wanted = [f"{split}/accuracy_{part}" for split in ("val", "test") for part in ("mean", "std", "n", "low", "high")]
    parts = ("test", "n", "difference", "p", "adjusted", "why")
    counts = ["jobs", "done", "failed", "pruned", "running", "waiting"]
    costs = ["seconds", "samples_per_second", "parameters"]
    assert list(groups) == ["model", "optim.lr", *counts, *wanted, *(f"comparison_{part}" for part in parts), *costs]


def printed(width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False, markup=False)
    with console.capture() as shown:
        terminal.show(report(read.read(sweep(f"of{width}"))), console)
    return shown.get().splitlines()


def test_a_narrow_terminal_gets_fewer_columns_and_is_told_so() -> None:
    wide, narrow = printed(200), printed(76)
    assert "samples/s" in wide[2] and "samples/s" not in narrow[2]
    assert len(narrow[2].rstrip()) <= 76 and narrow[2].split()[:2] == ["model", "lr"]
    assert "too narrow for samples/s, parameters, seconds, 95 %, Δ" in narrow


def test_help_and_mistakes_do_not_wait_for_torch_or_matplotlib() -> None:
    sweep()
    code = (
        "import sys; from dlkit.cli import main; from contextlib import suppress\n"
        "with suppress(SystemExit): main(['report', 'nothing'])\n"
        "print({'torch', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n" and "there is no sweep" in done.stderr


def returned(*statuses: str) -> list[JobReturn]:
    """As launchers give them back: None for a job that is done, else how it ended."""
    made = []
    for status in statuses:
        one = JobReturn()
        one.status = JobStatus.FAILED if status else JobStatus.COMPLETED
        one.return_value = RuntimeError(status) if status else None
        made.append(one)
    return made


@pytest.mark.usefixtures("bare_page")
@pytest.mark.parametrize(
    ("statuses", "code"),
    [(("", ""), 0), (("", "failed: x"), 1), (("interrupted: SIGINT", "failed: x"), 130), (("", "waiting: y"), 130)],
)
def test_every_end_of_a_sweep_has_its_report_and_its_exit_code(
    statuses: tuple[str, ...], code: int, capsys: Capture
) -> None:
    folder = sweep()
    with pytest.raises(SystemExit) as end:
        finish(exit_code(returned(*statuses)), folder)
    assert end.value.code == code
    assert "Best: model=cnn" in capsys.readouterr().out and all((folder / name).exists() for name in FILES)


@pytest.mark.parametrize(("statuses", "code"), [(("",), 0), (("failed: x",), 1)])
def test_a_report_that_fails_is_one_line_and_changes_no_exit_code(
    statuses: tuple[str, ...], code: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no\nroom")

    monkeypatch.setattr(page, "write", broken)
    folder = sweep()
    with pytest.raises(SystemExit) as end:
        finish(exit_code(returned(*statuses)), folder)
    captured = capsys.readouterr()
    assert end.value.code == code and "Best: model=cnn" in captured.out
    assert captured.err == f"warning: no report: RuntimeError: no room; `dlkit report {folder}` tries again\n"
