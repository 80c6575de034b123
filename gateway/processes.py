"""The processes of clusters: started as their users, found again, ended."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dask_gateway_server.backends.db_base import Cluster, Worker

from facility.malloc import MALLOC
from facility.process import ProcessIdentity, end, session_members
from facility.runtime import Runtime
from gateway.limits import probe
from gateway.peers import PROXY_UID
from gateway.preload_worker import EXPECTED
from gateway.users import UnknownUserError, base_environment, identity_of
from gateway.warm import Order, Template
from gateway.workdir import SPILL, Workdir

STOP_GRACE_S = 5
LOST_SCHEDULER_S = 60
"""A worker that hears nothing of its scheduler for so long ends by itself."""
HOST = "127.0.0.1"
"""Dask's default is every address of the machine."""

Item: TypeAlias = Cluster | Worker
"""What is one process: that of a cluster is its scheduler."""

_Role = Literal["scheduler", "worker"]
_ARGUMENTS: dict[_Role, tuple[str, ...]] = {
    "scheduler": ("--preload", "gateway.preload_scheduler"),
    "worker": (
        "--no-nanny",  # the gateway starts another one when a worker ends
        *("--death-timeout", str(LOST_SCHEDULER_S)),
        *("--local-directory", SPILL),
        *("--host", HOST),
        *("--preload", "gateway.preload_worker"),
    ),
}


class Processes:
    """Schedulers and workers, each below its cluster's folder and limits.

    Nothing depends on who started them staying alive: they are found again by the
    claims in the folders.
    """

    def __init__(
        self, runtime: Runtime, log: logging.Logger | logging.LoggerAdapter[Any]
    ) -> None:
        self.template = Template(log)
        self._runtime = runtime
        self._limiter = probe(runtime.id)

    def workdir(self, cluster: Cluster) -> Workdir:
        return Workdir(self._runtime.clusters_dir / cluster.name)

    def uid_of(self, cluster: Cluster) -> int:
        """Return the user that the cluster's processes run as.

        Raises:
            UnknownUserError: he may run none here.
        """
        user = identity_of(self._runtime, cluster.username)
        return os.getuid() if user is None else user.uid

    def recorded(self, item: Item) -> ProcessIdentity | None:
        """Return the process that the gateway's database names, alive or not."""
        try:
            return ProcessIdentity.from_json(item.state.get("process"))
        except ValueError:
            return None

    def is_alive(self, item: Item) -> bool:
        process = self.recorded(item)
        return process is not None and process.is_alive()

    def environment(self, cluster: Cluster) -> dict[str, str]:
        """Return what is in the environment of all processes of the cluster."""
        threads = str(cluster.config.worker_threads)
        return {
            **base_environment(self._runtime, cluster.username),
            **MALLOC,
            **{f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")},
            # Else schedulers share a folder in /tmp, which another user may have made.
            "DASK_TEMPORARY_DIRECTORY": str(self.workdir(cluster).path / SPILL),
            PROXY_UID: str(os.getuid()),
        }

    async def start(
        self, item: Item, arguments: Sequence[str], environment: dict[str, str]
    ) -> ProcessIdentity:
        """Start the process of an item, or find the one that has its name.

        Args:
            item: which.
            arguments: what dask-gateway adds to ``dask scheduler`` or ``dask worker``.
            environment: with which.

        Raises:
            TemplateError: it could not be forked.
        """
        cluster, name, role = _named(item)
        workdir, config = self.workdir(cluster), cluster.config
        found = workdir.claimed(name, uid=self.uid_of(cluster))
        if found is not None:
            return found
        limits = self._limiter.limit(
            _limit_name(cluster, name),
            cores=getattr(config, f"{role}_cores"),
            memory=getattr(config, f"{role}_memory"),
        )
        if role == "worker" and workdir.expected_environment.exists():
            environment = {
                **environment,
                EXPECTED: str(workdir.expected_environment),
            }
        foreign = Path(config.prefix) != Path(sys.prefix)
        return await self.template.fork(
            Order(
                role=role,
                arguments=(*arguments, *_ARGUMENTS[role]),
                environment=environment,
                folder=workdir.path,
                log=workdir.log(name),
                claim=workdir.claim(name),
                user=identity_of(self._runtime, cluster.username),
                cgroups=limits.procs,
                cpus=limits.cpus,
                python=f"{config.prefix}/bin/python" if foreign else None,
            )
        )

    async def end(self, item: Item) -> None:
        """End the process of an item with all its descendants; none is no error."""
        cluster, name, _ = _named(item)
        try:
            uid = self.uid_of(cluster)
        except UnknownUserError:  # his account was closed meanwhile
            uid = -1
        process = self.recorded(item) or self.workdir(cluster).claimed(name, uid=uid)
        if process is not None:
            await end(process, grace_s=STOP_GRACE_S)
            for member in session_members(process, uid=uid):
                await end(member, grace_s=0)
        self._limiter.release(_limit_name(cluster, name))


def _named(item: Item) -> tuple[Cluster, str, _Role]:
    if isinstance(item, Worker):
        return item.cluster, item.name, "worker"
    return item, "scheduler", "scheduler"


def _limit_name(cluster: Cluster, name: str) -> str:
    """Name a process to the kernel, where everybody reads it (``/proc/PID/cgroup``).

    A cluster's own name opens its dashboard to whoever knows it.
    """
    return hashlib.sha256(f"{cluster.name}-{name}".encode()).hexdigest()[:32]
