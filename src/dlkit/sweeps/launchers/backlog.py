"""The jobs that a launcher has yet to begin, and how the others ended."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence

from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.launchers.launcher import Source

WAITING = Outcome("", "waiting", "the sweep was ended before it began")


class Backlog:
    """The jobs, and then those of the source. One that ends with a status among `again` is begun again, from its
    checkpoint, up to `retries` times."""

    def __init__(self, jobs: Sequence[Job], source: Source | None, retries: int, again: Collection[str]) -> None:
        self.jobs, self.source, self.retries, self.again = jobs, source, retries, again
        self.queue = deque(jobs)
        self.retried: Counter[str] = Counter()
        self.ended: dict[str, Outcome] = {}

    def next(self) -> Job | None:
        """The next job to begin; None: none for now."""
        if self.queue:
            return self.queue.popleft()
        return self.source.next() if self.source else None

    def end(self, job: Job, outcome: Outcome, *, last: bool) -> bool:
        """Takes how a job ended; whether it will be begun again, which nothing is with `last`."""
        if outcome.status in self.again and self.retried[job.name] < self.retries and not last:
            self.retried[job.name] += 1
            self.queue.append(job)
            return True
        self.ended[job.name] = outcome
        if self.source:
            self.source.ended(job, outcome)
        return False

    @property
    def outcomes(self) -> list[Outcome]:
        """How each of `jobs` ended, in their order."""
        return [self.ended.get(job.name, WAITING) for job in self.jobs]
