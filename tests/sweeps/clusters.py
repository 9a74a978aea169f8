"""A Slurm cluster of two nodes on this machine, for as long as the tests of a file last."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SBIN = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))  # daemons are not on every user's PATH
PROGRAMS = ("munged", "slurmctld", "slurmd", "squeue", "sbatch", "srun", "scontrol", "scancel")
NODES = ("n1", "n2")

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
SlurmdTimeout=10
KillWait=10
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""  # cred_expire: a requeued job waits for so many seconds and one more, 121 by default


@dataclass
class SlurmCluster:
    """Daemons, and the environment in which Slurm's commands find them."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def command(self, *words: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
        return done.stdout if done.returncode == 0 else ""

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            environment = {**os.environ, **self.environment, "PATH": SBIN}
            self.daemons[name] = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def start_node(self, node: str) -> None:
        self.start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """As if its power failed: the daemon and all that it started are gone, and the controller is told so, which
        would notice only minutes later."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait()
        mine = self._processes(f"SLURMD_NODENAME={node}")
        for pid in (*{_parent(pid) for pid in mine} - {1, *mine}, *mine):  # who would report the deaths, first
            _kill(pid)
        self.command("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def stop(self) -> None:
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=3)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in self._processes(f"SLURM_CONF={self.folder}/slurm.conf"):  # jobs outlive the daemons
            _kill(pid)

    def _processes(self, marked: str) -> list[int]:
        """Those of this cluster whose environment has the mark."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                variables = entry.read_bytes().split(b"\0")
                mine = f"SLURM_CONF={self.folder}/slurm.conf".encode() in variables
                if mine and marked.encode() in variables and int(entry.parent.name) != os.getpid():
                    found.append(int(entry.parent.name))
        return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 1


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Skipped where Slurm or submitit is not installed, or the user is not root, whom the daemons want."""
    pytest.importorskip("submitit")
    missing = [name for name in PROGRAMS if shutil.which(name, path=SBIN) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"Slurm cannot be started here: {', '.join(missing) or 'not root'}")
    with ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 letters
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = SlurmCluster(folder)
        cleanup.callback(cluster.stop)
        _begin(cluster)
        yield cluster


def _begin(cluster: SlurmCluster) -> None:
    folder, munge = cluster.folder, cluster.folder / "munge"
    for place in (munge, folder / "state", *(folder / f"spool.{node}" for node in NODES)):
        place.mkdir()
    folder.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=_free_ports(3)))
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o600)
    files = {"socket": "sock", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    cluster.start("munged", "munged", "-F", *(f"--{option}={munge / name}" for option, name in files.items()))
    _wait(lambda: (munge / "sock").exists())
    cluster.start("slurmctld", "slurmctld", "-D")
    for node in NODES:
        cluster.start_node(node)
    _wait(lambda: cluster.command("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(NODES))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait(true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "Slurm did not start"
        time.sleep(0.1)
