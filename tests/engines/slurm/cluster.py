"""A real Slurm in a folder of its own, on the loopback interface, without systemd.

``with SlurmCluster(folder) as slurm`` starts munged, slurmctld and one slurmd per node,
and with ``database=True`` MariaDB and slurmdbd (then ``sacct``, associations and their
limits work). All is gone afterwards: daemons, jobs, control groups and the folder. It
runs as root, as any ordinary user, or, started by root with ``user=...``, as that user.

What to use:

- ``slurm.environment`` is what every client needs (``SLURM_CONF``); ``slurm.config`` is
  the path of slurm.conf; ``slurm.run("squeue", "-a")`` calls one with a time limit.
- Partitions: ``main`` (default; jobs are requeued for ``urgent``), ``spare`` (jobs are
  cancelled for ``urgent``) and ``urgent``.
- Every node offers 4 CPUs, 4 GB and 7 ``gpu:a100_1g.5gb`` (device files that exist, no
  GPUs). With ``cgroups=True``, as root on a machine that has them,
  ``slurm.has_cgroups`` is true and memory limits are enforced.
- ``slurm.kill_node("n2")`` and ``slurm.start_node("n2")``; ``slurm.stop_controller()``
  and ``slurm.start_controller()``.
- ``slurm.calls("squeue")``: how often a client was called through ``slurm.bin``, a
  folder of logging wrappers for PATH (or for a plugin's ``commands``).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

CLIENTS = ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sinfo")
CGROUPS = Path("/sys/fs/cgroup")
NODE = "TEST_SLURM_NODE"
"""Variable by which a node's own processes are found."""
REQUIRED = ("munged", "slurmctld", "slurmd", "sbatch")


def missing_programs() -> list[str]:
    """Return what has to be installed first (see .ci/system-packages)."""
    return [name for name in REQUIRED if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports(count: int) -> list[int]:
    """Return ports that no connection gets: daemons are stopped and started again."""
    ports: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no free ports")


class SlurmCluster:
    """See the module. ``extra`` are more lines for slurm.conf; the last one counts."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        nodes: int = 4,
        user: str | None = None,
        database: bool = False,
        cgroups: bool = False,
        max_array_size: int = 1001,
        extra: str = "",
    ) -> None:
        # Not below pytest's folders: jobs of other users must reach it, and the path
        # of a socket has room for 107 characters.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)
        account = pwd.getpwuid(os.getuid()) if user is None else pwd.getpwnam(user)
        self.user = account.pw_name
        self._account = account
        self._drops = account.pw_uid != os.getuid()
        self._is_root = account.pw_uid == 0
        can_limit = self._is_root and (CGROUPS / "memory/cgroup.procs").exists()
        self.has_cgroups = cgroups and can_limit
        # Control groups are the machine's and named by node: two clusters with equal
        # names would kill each other's jobs.
        suffix = f"-{os.getpid()}" if self.has_cgroups else ""
        self.nodes = [f"n{i}{suffix}" for i in range(1, nodes + 1)]
        self.has_database = database
        self.config = self.folder / "slurm.conf"
        self.bin = self.folder / "bin"
        self._max_array_size = max_array_size
        self._extra = extra
        self._socket = self.folder / "munge.sock"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = free_ports(1 + nodes + 2)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
            "SLURM_CONF": str(self.config),
            "PATH": f"{self.bin}:{os.environ['PATH']}:/usr/sbin",
        }

    # starting and stopping

    def __enter__(self) -> Self:
        try:
            self._write_files()
            self._start_munge()
            if self.has_database:
                self._start_database()
            self.start_controller()
            for node in self.nodes:
                self.start_node(node)
            self.wait(self._all_idle, 60, "every node is idle")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything, jobs first, and remove the folder."""
        if self._is_alive("slurmctld"):
            with contextlib.suppress(subprocess.SubprocessError):
                self.run("scancel", "--user", self.user, "--signal=KILL", check=False)
                self.run("scancel", "--user", self.user, check=False)
        names = [*self.nodes, "slurmctld", "slurmdbd", "mariadbd", "munged"]
        for name in names:
            self._end(name)
        self._end_processes()
        self._remove_cgroups()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.config))
        self.wait(self._answers, 60, "slurmctld answers")

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def start_node(self, name: str) -> None:
        self._start(
            name, "slurmd", "-D", "-N", name, "-f", str(self.config),
            environment={NODE: name},
        )  # fmt: skip

    def kill_node(self, name: str) -> None:
        """What a power cut does: the node and all its job's processes are gone."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()
        # Steps first: they would tell the controller how their tasks ended. Until none
        # is left: one that was just begun is seen only the next time.
        for variable in (f"{NODE}={name}", f"SLURMD_NODENAME={name}"):
            self._end_processes(variable)

    # using it

    def run(
        self, *command: str, check: bool = True, timeout_s: float = 60, text: str = ""
    ) -> str:
        """Run a client as the cluster's user; return what it printed."""
        done = subprocess.run(
            self._as_user(*command),
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.folder,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stderr}{self.logs()}")
        return done.stdout

    def calls(self, client: str) -> int:
        """How often a client was called through :attr:`bin`."""
        log = self.folder / "calls.log"
        return log.read_text().splitlines().count(client) if log.exists() else 0

    def wait(
        self, condition: Callable[[], object], timeout_s: float, what: str
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s} s: {what}\n{self.logs()}")
            time.sleep(0.05)

    def logs(self) -> str:
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {p.name}\n{p.read_text()[-3000:]}" for p in files)

    def jobs(self) -> list[str]:
        """Ids of jobs that have not ended."""
        return self.run("squeue", "--noheader", "--array", "--format=%i").split()

    # inside

    def _write_files(self) -> None:
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.config.write_text(self._slurm_conf())
        (self.folder / "gres.conf").write_text(
            "Name=gpu Type=a100_1g.5gb File=/dev/tty[0-6]\n"
        )
        (self.folder / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n"
            "ConstrainRAMSpace=yes\nAllowedSwapSpace=0\nConstrainSwapSpace=no\n"
            if self.has_cgroups
            else ""
        )
        for client in CLIENTS:
            path = _program(client)
            if path is None:
                continue
            script = self.bin / client
            script.write_text(
                f'#!/bin/sh\necho {client} >>{self.folder}/calls.log\nexec {path} "$@"\n'
            )
            script.chmod(0o755)
        (self.folder / "calls.log").touch()
        (self.folder / "calls.log").chmod(0o666)
        if self._drops:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _slurm_conf(self) -> str:
        controller, *others = self._ports
        ports = dict(zip(self.nodes, others, strict=False))
        host = socket.gethostname().partition(".")[0]
        tracking = "cgroup" if self.has_cgroups else None
        lines = [
            "ClusterName=test",
            "SlurmctldHost=localhost(127.0.0.1)",
            f"SlurmctldPort={controller}",
            f"SlurmUser={self.user}",
            f"SlurmdUser={self.user}",
            # A requeued job waits until its old credential has expired: 2 minutes, else.
            f"AuthInfo=socket={self._socket},cred_expire=5",
            "AuthType=auth/munge",
            "CryptoType=crypto/munge",
            f"StateSaveLocation={self.folder}/state",
            f"SlurmdSpoolDir={self.folder}/spool/%n",
            f"SlurmctldPidFile={self.folder}/slurmctld.pid",
            f"SlurmdPidFile={self.folder}/slurmd-%n.pid",
            "SlurmdParameters=config_overrides",
            "ReturnToService=2",
            "MpiDefault=none",
            "SwitchType=switch/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "SchedulerType=sched/backfill",
            (
                "SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,"
                "bf_interval=1,sched_interval=1,default_queue_depth=2000"
            ),
            f"MaxArraySize={self._max_array_size}",
            "MaxJobCount=20000",
            "GresTypes=gpu",
            "KillWait=2",
            "SlurmdTimeout=5",
            "MinJobAge=300",
            "JobRequeue=1",
            "PreemptType=preempt/partition_prio",
            "PreemptMode=REQUEUE",
            f"ProctrackType=proctrack/{tracking or 'linuxproc'}",
            f"TaskPlugin=task/{tracking or 'none'}",
            f"JobAcctGatherType=jobacct_gather/{tracking or 'none'}",
            *self._accounting(),
            *(
                f"NodeName={name} NodeAddr=127.0.0.1 NodeHostname={host}"
                f" Port={ports[name]} CPUs=4 RealMemory=4000"
                " Gres=gpu:a100_1g.5gb:7"
                for name in self.nodes
            ),
            *(
                f"PartitionName={name} Nodes=ALL MaxTime=INFINITE State=UP"
                f" OverSubscribe=NO {rest}"
                for name, rest in (
                    ("main", "Default=YES PriorityTier=1"),
                    ("spare", "PriorityTier=1 PreemptMode=CANCEL"),
                    ("urgent", "PriorityTier=10 PreemptMode=OFF"),
                )
            ),
            self._extra,
        ]
        return "\n".join(lines) + "\n"

    def _accounting(self) -> list[str]:
        if not self.has_database:
            return ["AccountingStorageType=accounting_storage/none"]
        return [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={self._ports[-2]}",
            # Without it every client waits for the munge of the system.
            f"AccountingStoragePass={self._socket}",
            "AccountingStorageEnforce=associations,limits,qos",
            "AccountingStoreFlags=job_comment",
            "JobAcctGatherFrequency=1",
        ]

    def _start_munge(self) -> None:
        self._start(
            "munged", "munged", "--foreground", "--force", "--num-threads=1",
            f"--key-file={self.folder}/munge.key", f"--socket={self._socket}",
            f"--pid-file={self.folder}/munge.pid", f"--log-file={self.folder}/munge.log",
            f"--seed-file={self.folder}/munge.seed",
        )  # fmt: skip
        self.wait(self._socket.exists, 60, "munged listens")

    def _start_database(self) -> None:
        data, listen = self.folder / "mariadb", self.folder / "mariadb.sock"
        port, database_port = self._ports[-2:]
        # A server that starts removes others' temporary tables from /tmp.
        own = {"TMPDIR": str(self.folder)}
        done = subprocess.run(
            self._as_user(
                "mariadb-install-db", "--no-defaults", f"--datadir={data}",
                f"--user={self.user}", "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ),
            check=False, capture_output=True, timeout=120, cwd=self.folder,
            env={**self.environment, **own},
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr)
        self._start(
            "mariadbd", "mariadbd", "--no-defaults", f"--datadir={data}",
            f"--socket={listen}", f"--port={database_port}", f"--user={self.user}",
            "--bind-address=127.0.0.1", f"--pid-file={self.folder}/mariadb.pid",
            "--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900",
            environment=own,
        )  # fmt: skip
        self.wait(listen.exists, 60, "MariaDB listens")
        configuration = self.folder / "slurmdbd.conf"
        configuration.write_text(
            f"DbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={port}\n"
            f"SlurmUser={self.user}\nAuthType=auth/munge\n"
            f"AuthInfo=socket={self._socket}\nPidFile={self.folder}/slurmdbd.pid\n"
            "StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
            f"StoragePort={database_port}\nStorageUser=root\nStorageLoc=slurm\n"
        )
        configuration.chmod(0o600)
        if self._drops:
            os.chown(configuration, self._account.pw_uid, self._account.pw_gid)
        self._start(
            "slurmdbd", "slurmdbd", "-D", environment={"SLURM_CONF": str(self.config)}
        )
        self.wait(self._has_accounts, 60, "slurmdbd answers")
        self.run("sacctmgr", "-i", "add", "cluster", "test", check=False)
        self.run("sacctmgr", "-i", "add", "account", "people")
        self.run("sacctmgr", "-i", "add", "user", self.user, "account=people")

    def _has_accounts(self) -> bool:
        return "Cluster" in self.run("sacctmgr", "show", "cluster", check=False)

    def _answers(self) -> bool:
        return "UP" in self.run("scontrol", "ping", check=False)

    def _all_idle(self) -> bool:
        states = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%T", check=False)
        return states.split() == ["idle"] * len(self.nodes)

    def _as_user(self, *command: str) -> list[str]:
        resolved = [_program(command[0]) or command[0], *command[1:]]
        if not self._drops:
            return resolved
        account = self._account
        return [
            "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}",
            "--clear-groups", *resolved,
        ]  # fmt: skip

    def _start(
        self, name: str, *command: str, environment: dict[str, str] | None = None
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                # Whatever happens to the tests, no daemon stays. (A change of user
                # would clear that, so it comes first.)
                self._as_user(
                    "setpriv",
                    "--pdeathsig=KILL",
                    str(_program(command[0])),
                    *command[1:],
                ),
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def _is_alive(self, name: str) -> bool:
        return name in self._daemons and self._daemons[name].poll() is None

    def _end(self, name: str) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _end_processes(self, *variables: str) -> None:
        deadline = time.monotonic() + 30
        while pids := self.processes(*variables):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise AssertionError(f"processes stay: {pids}")
            time.sleep(0.05)

    def processes(self, *variables: str) -> list[int]:
        """Pids of the cluster and its jobs, or of those with these ``NAME=value``."""
        found = []
        wanted = {v.encode() for v in (f"SLURM_CONF={self.config}", *variables)}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if wanted <= set((entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
        return found

    def _remove_cgroups(self) -> None:
        if not self.has_cgroups:
            return
        for group in CGROUPS.glob("*/slurm*"):
            for folder, _, _ in os.walk(group, topdown=False):
                # Another cluster's has processes inside, and stays.
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
