"""A real SLURM cluster on this machine: munged, slurmctld and two slurmd, with a configuration of its own."""

import os
import secrets
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.polling import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NODES = ("n1", "n2")
GPUS = 2
"""Fake devices of each node."""

ARRAY = 3
"""Most tasks of an array: fewer than there are devices."""

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MinJobAge=30
MaxArraySize={array}
ReturnToService=2
{nodes}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=5
PartitionName=high Nodes=ALL PriorityTier=10
"""


def obstacle() -> str | None:
    """Why there can be no cluster here, or None."""
    if os.geteuid() != 0:
        return "a SLURM cluster needs root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=_search_path()) is None]
    return f"not installed: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge)" if missing else None


class Slurm:
    """The cluster; use it as a context manager.

    Args:
        folder: For its configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _search_path()}

    def __enter__(self) -> Self:
        folder, host = self._folder, socket.gethostname()
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        gres = []
        for number in range(GPUS * len(NODES)):
            device = folder / f"device{number}"
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
            gres.append(f"NodeName={NODES[number // GPUS]} Name=gpu File={device}")
        (folder / "gres.conf").write_text("\n".join(gres) + "\n")
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 RealMemory=500 "
            f"Gres=gpu:{GPUS} State=UNKNOWN"
            for node in NODES
        )
        text = _CONFIGURATION.format(host=host, port=free_port(), folder=folder, nodes=nodes, array=ARRAY)
        (folder / "slurm.conf").write_text(text)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}"]
        munge += [f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/seed"]
        with ExitStack() as stack:
            self._stack = stack
            self._start(*munge)
            wait_until((folder / "munge.socket").exists)
            self._start("slurmctld", "-D")
            for node in NODES:
                self._start("slurmd", "-D", "-N", node)
            wait_until(self._is_up, seconds=60)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.run("scancel", "--user=root")
        self._stack.close()

    def run(self, *command: str) -> str:
        """What one of SLURM's commands prints; empty when it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=self._folder
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def tasks(self, state: str = "PENDING,RUNNING") -> list[str]:
        """Tasks in these states, each as ``id node``."""
        return self.run("squeue", "--noheader", "--array", f"--states={state}", "--format=%i %N").splitlines()

    def _is_up(self) -> bool:
        return self.run("sinfo", "--noheader", "--format=%T %D").split() == ["idle", str(len(NODES))]

    def _start(self, *command: str) -> None:
        log = self._stack.enter_context((self._folder / f"{Path(command[0]).name}.out").open("ab"))
        process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
