"""The jobs of a sweep in Slurm's queue: submitted with submitit, found again, cancelled."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlkit.rundir import write_json
from dlkit.runs import read_json

LARGEST = 1001  # jobs in an array, where Slurm does not say


@dataclass(frozen=True)
class Entry:
    """A job in the queue."""

    id: str  # "12_3", or "12"
    state: str  # PENDING, RUNNING, COMPLETING …
    reason: str  # why it is pending


class Queue:
    """What Slurm knows of a sweep's jobs. `slurm/` in the sweep's folder holds submitit's files and logs.

    There `submitted.json` says which jobs an array is made of. It is written before Slurm is asked, under a word that
    becomes part of the array's name: a launcher that is killed meanwhile leaves no job that the next one overlooks.
    """

    def __init__(self, folder: Path, parameters: dict[str, Any], max_num_timeout: int) -> None:
        self.sweep, self.folder = folder.name, folder / "slurm"
        self.parameters, self.max_num_timeout = parameters, max_num_timeout
        self.ids: dict[str, str] = {}  # of jobs, as last seen

    def submit(self, tasks: dict[str, Callable[[], Any]]) -> None:
        """Puts the tasks, by the names of their jobs, into the queue. Raises ValueError where Slurm refuses them."""
        from submitit import AutoExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        names, largest = list(tasks), self._largest_array()
        for part in (names[i : i + largest] for i in range(0, len(names), largest)):
            word = uuid.uuid4().hex[:8]
            self._note(word, {"id": None, "jobs": part})
            executor = AutoExecutor(self.folder, cluster="slurm", slurm_max_num_timeout=self.max_num_timeout)
            executor.update_parameters(name=f"{self.sweep}-{word}", **self.parameters)
            try:
                jobs = executor.submit_array([tasks[name] for name in part])
            except (FailedJobError, FailedSubmissionError) as error:
                lines = [line for line in str(error).splitlines() if "error" in line] or str(error).splitlines()
                raise ValueError(f"hydra/launcher=slurm: Slurm refuses the jobs: {lines[0].strip()}") from None
            self.ids |= {name: job.job_id for name, job in zip(part, jobs, strict=True)}
            self._note(word, {"id": jobs[0].job_id.partition("_")[0], "jobs": part})

    def look(self) -> dict[str, Entry]:
        """The jobs of the sweep that wait or run, by name. Raises OSError where Slurm does not answer."""
        noted = read_json(self.folder / "submitted.json")
        found = {}
        answer = _ask("squeue", f"--user={os.getuid()}", "--noheader", "--array", "--format=%i|%T|%r|%j")
        for line in answer.splitlines():
            job, state, reason, title = line.split("|", 3)
            array = noted.get(title.rpartition("-")[2])
            if array is not None:
                found[array["jobs"][int(job.partition("_")[2] or 0)]] = Entry(job, state, reason)
        self.ids |= {name: entry.id for name, entry in found.items()}
        return found

    def ended(self, name: str) -> tuple[str, str]:
        """State and exit code, such as "FAILED" and "137:0", of a job that has left the queue; Slurm forgets them after
        some minutes, then both are ""."""
        try:
            answer = _ask("scontrol", "--oneliner", "show", "job", self.ids[name])
        except (OSError, KeyError):
            return "", ""
        state, code = (re.search(rf"\b{key}=(\S+)", answer) for key in ("JobState", "ExitCode"))
        return state[1] if state else "", code[1] if code else ""

    def cancel(self, there: dict[str, Entry], number: str) -> None:
        """Takes jobs that wait out of the queue, and sends those that run this signal, TERM or KILL."""
        pending = [entry.id for entry in there.values() if entry.state == "PENDING"]
        running = [entry.id for entry in there.values() if entry.state == "RUNNING"]
        if pending:
            subprocess.run(["scancel", "--quiet", "--state=PENDING", *pending], capture_output=True)
        if running:
            subprocess.run(["scancel", "--quiet", f"--signal={number}", *running], capture_output=True)

    def _note(self, word: str, array: dict[str, Any]) -> None:
        path = self.folder / "submitted.json"
        write_json({**read_json(path), word: array}, path)

    def _largest_array(self) -> int:
        found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
        return int(found[1]) if found else LARGEST


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {_first(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def _first(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[0] if lines else ""
