"""Jobs on a Ray cluster: a task each, in a process of its own, on whichever machine has room for it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlkit.log import console
from dlkit.sweeps.jobs import Job, Outcome, known
from dlkit.sweeps.launchers.backlog import Backlog
from dlkit.sweeps.launchers.launcher import Source, SweepLauncher
from dlkit.sweeps.launchers.live import Event, Live
from dlkit.sweeps.launchers.processes import Stop, stopping
from dlkit.sweeps.launchers.ray.task import run_task
from dlkit.types import NonNegative, NonNegativeInt, Positive, PositiveInt

try:
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError
except ImportError:
    raise ValueError("hydra/launcher=ray: Ray is not installed: pip install 'dlkit[ray]'") from None

STORE = 80_000_000  # bytes of Ray's object store, its least: jobs share nothing but files


class Ray(SweepLauncher):
    """Joins the cluster at `address`, auto or host:port; None starts one on this machine, which ends with the sweep.

    Every job gets `num_cpus` CPUs, which are its threads, and `num_gpus` GPUs, shares allowed; None: one where jobs
    may use a GPU and the cluster has any. `n_jobs` at once at most. A job whose process or machine is lost is begun
    again, from its checkpoint, up to `retries` times; one that fails is not.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        n_jobs: PositiveInt | None = None,
        num_cpus: Positive = 1,
        num_gpus: NonNegative | None = None,
        retries: NonNegativeInt = 3,
        rerun_failed: bool = False,
    ) -> None:
        for name, share in (("num_cpus", num_cpus), ("num_gpus", num_gpus or 0)):
            if share > 1 and share != int(share):
                raise ValueError(f"hydra.launcher.{name}={share}: expected a whole number, or a share below 1")
        super().__init__(rerun_failed=rerun_failed)
        self.address, self.n_jobs, self.retries = address, n_jobs, retries
        self.num_cpus, self.num_gpus = num_cpus, num_gpus

    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """See `run_jobs`."""
        submit = self._join({job.config["trainer"]["device"] for job in jobs}, live)
        return run_jobs(jobs, submit, self.n_jobs or len(jobs), self.retries, live)

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Begins another job as soon as one has ended."""
        run_jobs([], self._join({self.config.trainer.device}, live), at_once, self.retries, live, source)

    def _join(self, devices: set[str], live: Live) -> Callable[[Job], Any]:
        """Joins the cluster; what hands it a job."""
        connect(self.address)
        gpus = self.num_gpus
        if gpus is None:
            wanted = not devices.isdisjoint(("auto", "cuda"))
            gpus = float(wanted and ray.cluster_resources().get("GPU", 0) >= 1)
        check_room(self.num_cpus, gpus, grows=self.address is not None)
        machines = sum(node["Alive"] for node in ray.nodes())
        share = f"{self.num_cpus:g} CPU(s)" + (f" and {gpus:g} GPU(s)" if gpus else "")
        live.says(f"on a Ray cluster of {machines} machine(s), {share} each")
        # max_calls: a process for one job. Retries are counted here, where they can be told.
        task = ray.remote(num_cpus=self.num_cpus, num_gpus=gpus, max_calls=1, max_retries=0)(run_task)
        threads = max(1, int(self.num_cpus))
        return lambda job: task.remote(job, threads)


def connect(address: str | None) -> None:
    """Joins the cluster, or starts one here, which ends with this process. Raises ValueError where there is none."""
    if ray.is_initialized():  # by an earlier batch of a search
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        ray.init(address="local", include_dashboard=False, object_store_memory=STORE, **quiet)
        return
    if address.startswith("ray://"):
        raise ValueError(
            f"hydra.launcher.address={address}: Ray's client is not supported; start the sweep on a machine of the "
            "cluster, with hydra.launcher.address=auto"
        )
    try:
        if ":" in address:  # Ray itself would knock for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise ValueError(
            f"hydra.launcher.address={address}: no Ray cluster can be joined there ({sentence(error)}); "
            "start one: ray start --head, or leave the address out"
        ) from None


def check_room(cpus: float, gpus: float, *, grows: bool) -> None:
    """Warns where no machine has what a job needs, since a cluster may grow. Raises ValueError where it does not."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus for has in machines):
        return
    asked = f"hydra.launcher.num_cpus={cpus:g} hydra.launcher.num_gpus={gpus:g}"
    if not grows:
        has = machines[0]
        raise ValueError(f"{asked}: this machine has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs")
    console.print(f"warning: {asked}: no machine of the cluster has so many; jobs wait for one", soft_wrap=True)


@dataclass
class Task:
    """A job that Ray was given."""

    job: Job
    printed: int  # bytes in its job.log by then
    seen: bool = False  # that it began

    @property
    def begun(self) -> bool:
        """Whether its process is at work: the first it does is to print."""
        return _printed(self.job) > self.printed


def run_jobs(
    jobs: Sequence[Job],
    submit: Callable[[Job], Any],
    at_once: int,
    retries: int,
    event: Event,
    source: Source | None = None,
) -> list[Outcome]:
    """Hands the jobs, and then those of the source, to Ray, `at_once` at most; how each of `jobs` ended.

    Ctrl-C, or a signal to end, is passed on to all jobs, which save themselves; a second one ends them at once.
    """
    backlog, tasks = Backlog(jobs, source, retries, again=("killed",)), dict[Any, Task]()
    with stopping() as stop:
        while True:
            room = at_once if not stop.asked else 0
            while len(tasks) < room and (job := backlog.next()):
                tasks[submit(job)] = Task(job, _printed(job))
            if not tasks:
                break
            cancel(tasks, stop)
            for reference in ray.wait(list(tasks), timeout=0.25)[0]:
                task = tasks.pop(reference)
                outcome = ended(task, reference, asked=bool(stop.asked))
                again = backlog.end(task.job, outcome, last=bool(stop.asked))
                if outcome.status != "waiting":
                    event("end", task.job, outcome)
                if again:
                    event("requeue", task.job, None)
            for task in tasks.values():
                if not task.seen and task.begun:
                    task.seen = True
                    event("start", task.job, None)
            event("tick", None, None)
    return backlog.outcomes


def cancel(tasks: dict[Any, Task], stop: Stop) -> None:
    """Passes on what the user asked for, if anything new."""
    if due := stop.due():
        for reference in tasks:
            ray.cancel(reference, force=due == 2)


def ended(task: Task, reference: Any, *, asked: bool) -> Outcome:
    """How the job ended: as its process said, else as its folder does; `killed` where it was lost on the way."""
    job = task.job
    try:
        outcome: Outcome = ray.get(reference)
    except TaskCancelledError:
        outcome = Outcome(job.name, "interrupted" if task.begun else "waiting", "the sweep was ended")
    except RayTaskError as error:  # `work` raises nothing of the job's own: something is wrong with the machine
        outcome = Outcome(job.name, "failed", f"{type(error.cause).__name__}: {error.cause}")
    except RayError as error:
        status = "interrupted" if asked else "killed"
        outcome = Outcome(job.name, status, f"{sentence(error)}; see {job.folder}/job.log")
    if outcome.status in ("killed", "interrupted") and (saved := known(job)) is not None and saved.done:
        return saved
    if outcome.status == "interrupted" and not asked:  # by its machine, which is going down
        return Outcome(job.name, "killed", f"its process was told to end ({outcome.reason})")
    return outcome


def sentence(error: BaseException) -> str:
    """The first sentence of what Ray says; advice follows."""
    return re.split(r"\.\s|\n", f"{error}. ")[0] or type(error).__name__


def _printed(job: Job) -> int:
    """Bytes that the job has printed so far."""
    try:
        return (Path(job.folder) / "job.log").stat().st_size
    except OSError:
        return 0
