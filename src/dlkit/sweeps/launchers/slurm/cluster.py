"""Jobs on a Slurm cluster: an array, over submitit, whose jobs come back where they were preempted."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from dlkit.sweeps.jobs import Job, Outcome
from dlkit.sweeps.launchers.launcher import Source, SweepLauncher
from dlkit.sweeps.launchers.live import Live
from dlkit.sweeps.launchers.slurm.follow import Following
from dlkit.sweeps.launchers.slurm.queue import Queue
from dlkit.types import NonNegativeInt, Positive, PositiveInt


class Slurm(SweepLauncher):
    """Options as submitit, and so Slurm, has them, for each job; see configs/hydra/launcher/slurm.yaml.

    A job that is preempted, runs out of time or loses its node is queued again by Slurm, and goes on from its
    checkpoint. One that fails or is killed otherwise is submitted anew up to `retries` times.
    """

    def __init__(
        self,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        timeout_min: PositiveInt = 60,
        cpus_per_task: PositiveInt = 1,
        gpus_per_node: NonNegativeInt | None = None,
        mem_gb: Positive | None = None,
        array_parallelism: PositiveInt = 256,
        signal_delay_s: NonNegativeInt = 120,
        max_num_timeout: NonNegativeInt = 20,
        setup: Sequence[str] = (),
        additional_parameters: Mapping[str, Any] | None = None,
        retries: NonNegativeInt = 0,
        rerun_failed: bool = False,
    ) -> None:
        super().__init__(rerun_failed=rerun_failed)
        self.retries, self.threads, self.max_num_timeout = retries, cpus_per_task, max_num_timeout
        self.partition = partition
        parameters = {
            "timeout_min": timeout_min,
            "cpus_per_task": cpus_per_task,
            "gpus_per_node": gpus_per_node,
            "mem_gb": mem_gb,
            "slurm_partition": partition,
            "slurm_account": account,
            "slurm_qos": qos,
            "slurm_constraint": constraint,
            "slurm_array_parallelism": array_parallelism,
            "slurm_signal_delay_s": signal_delay_s,
            "slurm_setup": list(setup),
            "slurm_srun_args": [f"--cpus-per-task={cpus_per_task}"],  # since 22.05 srun does not take it from sbatch
            "slurm_additional_parameters": {"requeue": True, **(additional_parameters or {})},
        }
        self.parameters = {name: value for name, value in parameters.items() if value is not None}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises ValueError where no job could be submitted, before anything is written."""
        if importlib.util.find_spec("submitit") is None:
            raise ValueError("hydra/launcher=slurm: submitit is not installed: pip install 'dlkit[slurm]'")
        if shutil.which("squeue") is None or shutil.which("srun") is None:
            raise ValueError("hydra/launcher=slurm: squeue and srun are not here; start the sweep where they are")
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def execute(self, jobs: Sequence[Job], live: Live) -> list[Outcome]:
        """See `Following`."""
        return Following(jobs, self._queue(live), live, self.threads, self.retries).run()

    def feed(self, source: Source, live: Live, at_once: int) -> None:
        """Submits another job as soon as one has ended."""
        Following([], self._queue(live), live, self.threads, self.retries, source, at_once).run()

    def _queue(self, live: Live) -> Queue:
        where = f"on Slurm's partition {self.partition}" if self.partition else "on Slurm"
        live.says(f"{where}; Ctrl-C ends them, saved; without this program they go on")
        return Queue(live.folder, self.parameters, self.max_num_timeout)
