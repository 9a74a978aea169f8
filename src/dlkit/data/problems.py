"""What is wrong with a user's files: gathered, then told all at once, or skipped and counted."""

from __future__ import annotations

from typing import Literal

OnError = Literal["raise", "skip"]
SHOWN = 20  # problems told one by one


class Problems:
    """Gathers problems while files are read; `settle` raises them all as one error, or counts them.

    problems = Problems(on_error)
    for line, row in enumerate(rows, start=1):
        if not row[text]:
            problems.add(f"{path}:{line}", "the text is empty")
    notes = problems.settle()
    """

    def __init__(self, on_error: OnError = "raise"):
        self.on_error = on_error
        self.found: list[tuple[str, str]] = []

    def add(self, where: str, why: str) -> None:
        """`where` is a path, with `:line` where there are lines; `why` says what is wrong with it."""
        self.found.append((where, why))

    def settle(self) -> tuple[str, ...]:
        """What was skipped, a line a reason with its count. Raises ValueError with every problem unless skipping."""
        if not self.found:
            return ()
        if self.on_error == "raise":
            lines = [f"{where}: {why}" for where, why in self.found[:SHOWN]]
            if len(self.found) > SHOWN:
                lines.append(f"… and {len(self.found) - SHOWN:,} more")
            what = "1 problem" if len(self.found) == 1 else f"{len(self.found):,} problems"
            raise ValueError("\n".join([f"{what} in the data (data.on_error=skip leaves them out):", *lines]))
        counts: dict[str, int] = {}
        for _, why in self.found:
            counts[why] = counts.get(why, 0) + 1
        return tuple(f"left out {count:,}: {why}" for why, count in counts.items())
