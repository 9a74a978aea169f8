"""What is wrong with a user's files: gathered, then told all at once, or skipped and counted."""

from __future__ import annotations

from collections import Counter
from typing import Literal

OnError = Literal["raise", "skip"]
SHOWN = 20  # problems told one by one, and reasons
SKIP = "data.on_error=skip leaves them out"
PUBLISHED = "fetch the set anew"  # of a publisher's files, which are whole or damaged


class Problems:
    """Gathers problems while files are read; `settle` raises them all as one error, or counts them.

    problems = Problems(on_error)
    for line, row in enumerate(rows, start=1):
        if not row[text]:
            problems.add(f"{path}:{line}", "the text is empty")
    notes = problems.settle()
    """

    def __init__(self, on_error: OnError = "raise", remedy: str = SKIP):
        self.on_error, self.remedy = on_error, remedy
        self.found: list[tuple[str, str]] = []

    def add(self, where: str, why: str) -> None:
        """`where` is a path, with `:line` where there are lines; `why` says what is wrong with it."""
        self.found.append((where, why))

    def settle(self) -> tuple[str, ...]:
        """What was skipped, a line for each reason. Raises ValueError with every problem unless skipping."""
        if not self.found:
            return ()
        if self.on_error == "raise":
            lines = [f"{where}: {why}" for where, why in self.found[:SHOWN]]
            if len(self.found) > SHOWN:
                lines.append(f"… and {len(self.found) - SHOWN:,} more")
            what = "1 problem" if len(self.found) == 1 else f"{len(self.found):,} problems"
            raise ValueError("\n".join([f"{what} in the data ({self.remedy}):", *lines]))
        return self._reasons()

    def too_few(self, why: str) -> ValueError:
        """The error for data of which too little is left: with what was skipped. Raises as `settle`."""
        return ValueError("\n".join([why, *self.settle()]))

    def _reasons(self) -> tuple[str, ...]:
        """How often each, most often first, and where first; of very many the rest summed up."""
        counts = Counter(why for _, why in self.found).most_common()
        first = {why: where for where, why in reversed(self.found)}
        lines = [f"left out {count:,}: {why}; first {first[why]}" for why, count in counts[:SHOWN]]
        if rest := counts[SHOWN:]:
            lines.append(f"left out {sum(count for _, count in rest):,}: {len(rest):,} other reasons")
        return tuple(lines)
