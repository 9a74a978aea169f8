"""Jobs on this machine: a process each, several at once, each with a device or a share of the CPUs of its own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from dlkit.sweeps.jobs import GRACE, Job, Outcome, work
from dlkit.sweeps.launcher import Source, SweepLauncher
from dlkit.sweeps.live import Live
from dlkit.types import NonNegativeInt, PositiveInt

EACH = 1.5  # GB of memory that a job is taken to need
PRELOAD = ["dlkit.sweeps.preload"]  # what a job imports, imported once: processes are copies of one that did
Event = Callable[[Literal["start", "requeue", "end", "tick"], Job | None, Outcome | None], None]


@dataclass
class Slot:
    """Room for a job: a GPU by its number, or None, and CPU threads."""

    gpu: str | None
    threads: int


@dataclass
class Running:
    job: Job
    slot: Slot
    process: Any
    answers: Connection
    since: float = field(default_factory=monotonic)


class Local(SweepLauncher):
    """`n_jobs` at once, null: what the machine holds; `jobs_per_gpu` share a GPU."""

    def __init__(
        self,
        *,
        n_jobs: PositiveInt | None = None,
        jobs_per_gpu: PositiveInt = 1,
        retries: NonNegativeInt = 0,
        rerun_failed: bool = False,
    ) -> None:
        super().__init__(rerun_failed=rerun_failed)
        self.n_jobs, self.jobs_per_gpu, self.retries = n_jobs, jobs_per_gpu, retries

    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """See `run_jobs`."""
        room = self._room({job.config["trainer"]["device"] for job in jobs}, live)
        return run_jobs(jobs, room, self.retries, live)

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Gives every slot another job as soon as it is free; `at_once` is no matter here."""
        run_jobs([], self._room({self.config.trainer.device}, live), self.retries, live, source)

    def _room(self, devices: set[str], live: Live) -> list[Slot]:
        room = slots(self.n_jobs, self.jobs_per_gpu, not devices.isdisjoint(("auto", "cuda")))
        each = "a GPU each" if room[0].gpu is not None else f"{room[0].threads} CPU thread(s) each"
        live.says(f"{len(room)} at once, {each}")
        return room


def slots(n_jobs: int | None, jobs_per_gpu: int, wants_gpu: bool) -> list[Slot]:
    """So many as `n_jobs` says; None: what the machine holds: of GPUs all, else a job for each CPU, fewer where memory
    is short. Threads are shared out evenly; jobs take turns on GPUs."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = visible_gpus() if wants_gpu else []
    count = n_jobs or (len(gpus) * jobs_per_gpu if gpus else max(1, min(cpus, int(free_memory() / EACH))))
    return [Slot(gpus[i % len(gpus)] if gpus else None, max(1, cpus // count)) for i in range(count)]


def visible_gpus() -> list[str]:
    """The numbers of the GPUs that may be used. Asks the driver's own program, since torch would take memory there."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []


def free_memory() -> float:
    """GB that new processes can have; plenty where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 1e6
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1e6


def run_jobs(
    jobs: Sequence[Job], room: Sequence[Slot], retries: int, event: Event, source: Source | None = None
) -> list[Outcome]:
    """Runs the jobs, and then those of the source, in so many processes as there are slots; how each of `jobs` ended.

    A job whose process fails or is killed is begun again, from its checkpoint, up to `retries` times. Ctrl-C, or a
    signal to end, is passed on to all jobs, which save themselves; a second one ends them at once.
    """
    outcomes: dict[str, Outcome] = {}
    queue = deque(jobs)
    attempts: Counter[str] = Counter()
    free, running = list(room), dict[Any, Running]()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with stopping() as stop:
        while True:
            while free and not stop.asked and (job := queue.popleft() if queue else source and source.next()):
                one = begin(context, job, free.pop(0))
                running[one.process.sentinel] = one
                event("start", job, None)
            if not running:
                break
            if stop.asked:
                end(running.values(), stop)
            for sentinel in wait(list(running), timeout=0.25):
                one = running.pop(sentinel)
                free.append(one.slot)
                outcome = ended(one, asked=bool(stop.asked))
                attempts[one.job.name] += 1
                if outcome.status in ("failed", "killed") and attempts[one.job.name] <= retries and not stop.asked:
                    queue.append(one.job)
                else:
                    outcomes[one.job.name] = outcome
                    if source:
                        source.ended(one.job, outcome)
                event("end", one.job, outcome)
            event("tick", None, None)
    waiting = Outcome("", "waiting", "the sweep was ended before it began")
    return [outcomes.get(job.name, waiting) for job in jobs]


def begin(context: Any, job: Job, slot: Slot) -> Running:
    """Starts the job's process."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, slot, there), name=job.name)
    process.start()
    there.close()
    return Running(job, slot, process, here)


def ended(one: Running, *, asked: bool) -> Outcome:
    """How the job ended whose process is gone: as it said, else killed, or, where it was asked to end, interrupted."""
    one.process.join()
    try:
        if one.answers.poll():
            return one.answers.recv()
    except (EOFError, OSError):
        pass
    finally:
        one.answers.close()
    code = one.process.exitcode
    if asked and code == -signal.SIGTERM:  # it had not begun to listen
        return Outcome(one.job.name, "interrupted", "the sweep was ended")
    how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
    return Outcome(one.job.name, "killed", f"its process ended {how}; see {one.job.folder}/job.log")


@dataclass
class Stop:
    asked: int = 0  # signals so far
    told: int = 0  # signals that the jobs were told


@contextmanager
def stopping(*numbers: int) -> Iterator[Stop]:
    """Counts what asks to end: these signals, by default Ctrl-C and SIGTERM."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: Any) -> None:
        stop.asked += 1

    before = {number: signal.signal(number, handle) for number in numbers or (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(running: Any, stop: Stop) -> None:
    """Asks the jobs to save themselves and end; a second time, or where they take too long, ends them."""
    if stop.told >= min(stop.asked, 2):
        return
    number = signal.SIGTERM if stop.told == 0 else signal.SIGKILL
    stop.told += 1
    for one in running:
        if one.process.is_alive():
            os.kill(one.process.pid, number)


def _child(job: Job, slot: Slot, answers: Connection) -> None:
    """The life of a job's process."""
    os.setsid()  # Ctrl-C is the launcher's, which tells the jobs once
    watch(multiprocessing.parent_process())
    if slot.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu
    log_into(Path(job.folder))
    import torch

    torch.set_num_threads(slot.threads)  # trainer.threads, where it is set, comes later
    outcome = work(job)
    with suppress(BrokenPipeError):  # the launcher is gone
        answers.send(outcome)


def log_into(folder: Path) -> None:
    """What the job prints goes into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())


def watch(parent: Any, number: int = signal.SIGTERM) -> None:
    """Ends this process, saved, when its launcher is gone: nobody would wait for it, and a new launcher would find its
    folder locked."""

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), number)
        sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
