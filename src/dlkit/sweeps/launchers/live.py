"""What one sees while a sweep runs: how many jobs are done, which run, the best so far, the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Literal

from rich.live import Live as RichLive
from rich.table import Table

from dlkit.log import console
from dlkit.rundir import shown
from dlkit.sweeps.jobs import Job, Outcome

SHOWN = 12  # running jobs that are listed
Happening = Literal["start", "requeue", "end", "tick"]  # a job begins; is in a queue again; ended; time went by
Event = Callable[[Happening, Job | None, Outcome | None], None]


class Live:
    """A table in a terminal, else a line for each job that ends. Called with what happens to jobs.

    `jobs` are all of the sweep by name, `ended` those that an earlier start of it has ended; `total` says how many are
    to come where they are not known beforehand.
    """

    def __init__(self, jobs: Mapping[str, Job], ended: Mapping[str, Outcome], folder: Path, total: int | None = None):
        self.jobs, self.folder, self.total = jobs, folder, total or len(jobs)
        self.running: dict[str, float] = {}
        self.ended = dict(ended)
        self.best: tuple[float, Job] | None = None
        for name, outcome in ended.items():
            self._compare(jobs[name], outcome)
        self.started = monotonic()
        self.took: list[float] = []
        self.live = RichLive(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Live:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.live:
            self.live.stop()

    def says(self, how: str) -> None:
        """The first line: what is run, how, and where."""
        before = f", {len(self.ended):,} of them ended before" if self.ended else ""
        jobs = "job" if self.total == 1 else "jobs"
        said = f"sweep   {self.total:,} {jobs}{before}; {how}: {shown(self.folder)}"
        console.print(said, soft_wrap=True, markup=False)

    def __call__(self, event: Happening, job: Job | None, outcome: Outcome | None) -> None:
        """Takes what happened to a job; one that ended may begin again, by a retry."""
        if event == "start" and job:
            self.running[job.name] = monotonic()
            self.ended.pop(job.name, None)
        elif event == "requeue" and job:
            self.running.pop(job.name, None)
            self.ended.pop(job.name, None)
            console.print(f"{job.name}  is in the queue again, from its checkpoint", soft_wrap=True, markup=False)
        elif job and outcome:
            self.took.append(monotonic() - self.running.pop(job.name, monotonic()))
            self.ended[job.name] = outcome
            self._compare(job, outcome)
            self._tell(job, outcome)
        if self.live:
            self.live.update(self._table(), refresh=True)

    def _compare(self, job: Job, outcome: Outcome) -> None:
        """Keeps the best job by what its checkpoint callback watches."""
        if outcome.value is None or not outcome.done:
            return
        sign = 1 if job.higher else -1
        if self.best is None or sign * outcome.value > sign * self.best[0]:
            self.best = (outcome.value, job)

    def _tell(self, job: Job, outcome: Outcome) -> None:
        """A line for a job that ended; in a terminal only where it went wrong."""
        if self.live and outcome.done:
            return
        value = f", best {job.monitor} {outcome.value:.4g}" if outcome.value is not None else ""
        why = f": {outcome.reason.splitlines()[0]}" if outcome.reason and outcome.status != "interrupted" else ""
        count = f"{len(self.ended)}/{max(self.total, len(self.ended))}"
        print_line = self.live.console.print if self.live else console.print
        print_line(f"{count}  {job.name}  {outcome.status}{why}{value}", soft_wrap=True, markup=False)

    def _table(self) -> Table:
        counts = Counter(outcome.status if not outcome.done else "done" for outcome in self.ended.values())
        waiting = self.total - len(self.ended) - len(self.running)
        said = [f"{number} {name}" for name, number in sorted(counts.items())]
        said += [f"{len(self.running)} running", f"{max(0, waiting)} waiting"]
        if self.took and (waiting > 0 or self.running):
            each = (monotonic() - self.started) / len(self.took)
            said.append(f"about {_clock(each * (max(0, waiting) + len(self.running) / 2))} left")
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_row(", ".join(said))
        if self.best:
            table.add_row(f"best {self.best[1].monitor} {self.best[0]:.4g}  {self.best[1].name}")
        for name, since in list(self.running.items())[:SHOWN]:
            table.add_row(f"  {_clock(monotonic() - since)}  {name}")
        if len(self.running) > SHOWN:
            table.add_row(f"  … and {len(self.running) - SHOWN} more")
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
