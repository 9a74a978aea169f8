"""All combinations of the values that are asked for."""

from __future__ import annotations

from dlkit.mistakes import answered
from dlkit.rundir import locked
from dlkit.sweeps.plan import opened, split
from dlkit.sweeps.sweepers.finish import exit_code, finish
from dlkit.sweeps.sweepers.sweeper import Sweeper


class Grid(Sweeper):
    """Every combination of all values, as Hydra's own sweeper makes them; but jobs are named and can be gone on with,
    and none is composed beforehand, since the preflight has looked at all.
    """

    def sweep(self, arguments: list[str]) -> None:
        """Runs all jobs, reports on them, and ends the program with 0, 1 where some failed, or 130 after Ctrl-C."""
        with answered():
            options = self.options(arguments)
            fixed, jobs = dict(map(split, options.fixed)), options.combinations()
            folder = self.folder(fixed, options.keys)
            launcher = self.launcher(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                plan = opened(folder, self.command(arguments), fixed, options.keys)
                plan.add(*jobs)
                plan.write(folder)
            returns = launcher.launch(jobs, initial_job_idx=0)
        finish(exit_code(returns), folder)
