"""A Slurm of one node in a folder of its own, started by hand: nothing of the system is changed."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CPUS = 2


def why_not() -> str:
    """Why no Slurm can be started here; empty where it can."""
    missing = [name for name in (*DAEMONS, "sbatch", "srun", "squeue") if not find(name)]
    if missing:
        return f"no {', '.join(missing)} here (Debian: slurm-wlm and munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started as root, this is not"


@contextmanager
def private_slurm() -> Iterator[dict[str, str]]:
    """Start the daemons, yield the variables that commands need, stop everything whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: sockets have paths of at most 107 bytes
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        configuration = configure(folder)
        variables = {"SLURM_CONF": str(configuration), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        environment = {**os.environ, **variables}
        start(stack, munge_command(folder), folder, environment)
        until((folder / "munge.socket").exists, folder, "munge's socket")
        start(stack, [find("slurmctld"), "-D", "-i", "-f", str(configuration)], folder, environment)
        start(stack, [find("slurmd"), "-D", "-N", "alone", "-f", str(configuration)], folder, environment)
        until(lambda: "idle" in asked("sinfo", environment), folder, "an idle node")
        try:
            yield variables
        finally:
            subprocess.run(["scancel", "--user=root", "--signal=KILL", "--full"], env=environment, check=False)
            subprocess.run(["scancel", "--user=root"], env=environment, check=False)
            until(lambda: not asked("squeue", environment), folder, "an empty queue")


def configure(folder: Path) -> Path:
    """Write the key and ``slurm.conf``; Slurm's own folders are below ``folder``."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    controller, node = free_ports(2)
    path = folder / "slurm.conf"
    path.write_text(
        f"""ClusterName=private
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=1
ReturnToService=2
KillWait=5
MinJobAge=300
NodeName=alone NodeAddr=127.0.0.1 NodeHostname={socket.gethostname()} CPUs={CPUS} RealMemory=100000 State=UNKNOWN
PartitionName=all Nodes=alone Default=YES MaxTime=INFINITE State=UP
"""
    )
    return path


def munge_command(folder: Path) -> list[str]:
    files = {"key-file": "munge/key", "socket": "munge.socket", "pid-file": "munge/pid", "log-file": "munge/log"}
    paths = [f"--{option}={folder / name}" for option, name in {**files, "seed-file": "munge/seed"}.items()]
    return [find("munged"), "--foreground", "--force", "--num-threads=2", *paths]


def start(stack: ExitStack, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Start a daemon that ends with ``stack``."""
    with (folder / "daemons.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    stack.callback(stop, process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def asked(command: str, environment: dict[str, str]) -> str:
    done = subprocess.run([command, "--noheader"], env=environment, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def until(condition: Callable[[], object], folder: Path, what: str, at_most_s: float = 60) -> None:
    limit = time.monotonic() + at_most_s
    while not condition():
        if time.monotonic() > limit:
            logs = [path.read_text()[-1500:] for path in sorted(folder.glob("*.log"))]
            raise TimeoutError(f"waited {at_most_s} s for {what}; the daemons say:\n" + "\n".join(logs))
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def find(program: str) -> str:
    """Its path, also where administrators keep it; empty when it is not there."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""
