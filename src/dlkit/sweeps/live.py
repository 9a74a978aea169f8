"""What one sees while a sweep runs: how many jobs are done, which run, the best so far, the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from rich.live import Live as RichLive
from rich.table import Table

from dlkit.log import console
from dlkit.sweeps.jobs import Job, Outcome

if TYPE_CHECKING:
    from dlkit.sweeps.local import Slot

SHOWN = 12  # running jobs that are listed
HIGHER = ("accuracy", "r2")  # of these figures more is better


class Live:
    """A table in a terminal, else a line for each job that ends. Called with the events of `local.run_jobs`."""

    def __init__(self, jobs: Sequence[Job], folder: Path, slot: Slot):
        self.jobs, self.folder = jobs, folder
        self.where = "a GPU each" if slot.gpu is not None else f"{slot.threads} CPU thread(s) each"
        self.running: dict[str, float] = {}
        self.ended: dict[str, Outcome] = {}
        self.best: tuple[float, Job] | None = None
        self.started = monotonic()
        self.took: list[float] = []
        self.live = RichLive(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Live:
        console.print(f"sweep   {len(self.jobs):,} jobs, {self.where}: {self.folder}", soft_wrap=True, markup=False)
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.live:
            self.live.stop()

    def __call__(self, event: str, job: Job | None, outcome: Outcome | None) -> None:
        if event == "start" and job:
            self.running[job.name] = monotonic()
        elif job and outcome:
            self.took.append(monotonic() - self.running.pop(job.name))
            self.ended[job.name] = outcome
            self._compare(job, outcome)
            self._tell(job, outcome)
        if self.live:
            self.live.update(self._table(), refresh=True)

    def _compare(self, job: Job, outcome: Outcome) -> None:
        """Keeps the best job by what its checkpoint callback watches."""
        if outcome.value is None or not outcome.done:
            return
        sign = 1 if _higher(job) else -1
        if self.best is None or sign * outcome.value > sign * self.best[0]:
            self.best = (outcome.value, job)

    def _tell(self, job: Job, outcome: Outcome) -> None:
        """A line for a job that ended; in a terminal only where it went wrong."""
        if self.live and outcome.done:
            return
        value = f", best {_monitor(job)} {outcome.value:.4f}" if outcome.value is not None else ""
        why = f": {outcome.reason.splitlines()[0]}" if outcome.reason and not outcome.done else ""
        count = f"{len(self.ended)}/{len(self.jobs)}"
        print_line = self.live.console.print if self.live else console.print
        print_line(f"{count}  {job.name}  {outcome.status}{why}{value}", soft_wrap=True, markup=False)

    def _table(self) -> Table:
        counts = Counter(outcome.status if not outcome.done else "done" for outcome in self.ended.values())
        waiting = len(self.jobs) - len(self.ended) - len(self.running)
        said = [f"{number} {name}" for name, number in sorted(counts.items())]
        said += [f"{len(self.running)} running", f"{max(0, waiting)} waiting"]
        if self.took and (waiting > 0 or self.running):
            each = (monotonic() - self.started) / len(self.took)
            said.append(f"about {_clock(each * (max(0, waiting) + len(self.running) / 2))} left")
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_row(", ".join(said))
        if self.best:
            table.add_row(f"best {_monitor(self.best[1])} {self.best[0]:.4f}  {self.best[1].name}")
        for name, since in list(self.running.items())[:SHOWN]:
            table.add_row(f"  {_clock(monotonic() - since)}  {name}")
        if len(self.running) > SHOWN:
            table.add_row(f"  … and {len(self.running) - SHOWN} more")
        return table


def _monitor(job: Job) -> str:
    return str(((job.config.get("callbacks") or {}).get("checkpoint") or {}).get("monitor", "val/loss"))


def _higher(job: Job) -> bool:
    """Whether more is better of what the job watches."""
    mode = ((job.config.get("callbacks") or {}).get("checkpoint") or {}).get("mode")
    return mode == "max" if mode else _monitor(job).rpartition("/")[2] in HIGHER


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
