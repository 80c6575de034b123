"""dask-gateway's backend of a facility: clusters as processes of this machine."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from dask_gateway_server.backends.base import PublicException
from dask_gateway_server.backends.db_base import (
    Cluster,
    DBBackendBase,
    JobStatus,
    Worker,
    timestamp,
)
from dask_gateway_server.models import User
from traitlets import Instance, default

from facility.broker import LeaseStore
from facility.process import ProcessIdentity, wait_gone
from facility.runtime import Runtime
from gateway import heartbeat, peers
from gateway.ceilings import ClusterCeilings
from gateway.clusters import FacilityClusterConfig, options_for
from gateway.notebook import Notebook
from gateway.processes import HOST, Item, Processes
from gateway.users import UnknownUserError, identity_of
from gateway.workdir import make_passable, remove_old

SWEEP_PERIOD_S = 1
KEEP_LOGS_S = 24 * 3600
OUR_OWN_PAUSE_S = 10
"""Longer between two checks of the heartbeats means that we were held up ourselves."""


class FacilityBackend(DBBackendBase):
    """Runs every cluster as processes of its user, below the file's ceilings.

    Nothing depends on this process staying alive: schedulers and workers are found
    again by the claims in their folders, leases by the ids of what holds them.
    """

    runtime = Instance(Runtime)
    cluster_config_class = FacilityClusterConfig
    default_host = HOST

    @default("runtime")
    def _default_runtime(self) -> Runtime:
        return Runtime.from_environment()

    async def setup(self, app: Any) -> None:
        self.cluster_options = options_for(self.runtime.spec)
        self._store = LeaseStore(self.runtime.state_dir / "broker.sqlite")
        self._ceilings = ClusterCeilings(self.runtime.spec, self._store)
        self._processes = Processes(self.runtime, self.log)
        self._watchers: set[asyncio.Task[None]] = set()
        self._checked_at = timestamp()
        make_passable(self.runtime.clusters_dir)
        await super().setup(app)

    async def start_cluster(self, user: User, cluster_options: dict[str, Any]) -> str:
        """Create a cluster, or say in one line why not (ceilings, environment)."""
        options, config = await self.process_cluster_options(user, cluster_options)
        try:
            identity_of(self.runtime, user.name)
            notebook = Notebook.parse(config.notebook)
        except (UnknownUserError, ValueError) as error:
            raise PublicException(str(error)) from error
        config.prefix = str(config.prefix or notebook.prefix or sys.prefix)
        prefix = Path(config.prefix)
        if self._compares(prefix):
            different = await asyncio.to_thread(notebook.mismatch, prefix)
            if different is not None:
                raise PublicException(different)
        # The declared environment is needed by workers, not by people who list clusters.
        options["notebook"] = {}
        cluster = self.db.create_cluster(user.name, options, config.to_dict())
        why = self._ceilings.admit_cluster(cluster)
        if why is not None:
            self._give_up(cluster)
            raise PublicException(f"no new cluster: {why}")
        self.log.info("Created cluster %s for user %s", cluster.name, user.name)
        self.queue.put(cluster)
        return str(cluster.name)

    def _compares(self, prefix: Path) -> bool:
        """Whether we look into an environment before workers are started in it."""
        if self.runtime.multi_user and prefix != Path(sys.prefix):
            return False  # root reads nothing of a user's: his workers check themselves
        return self.runtime.spec.gateway.refuse_other_environments

    def _give_up(self, cluster: Cluster) -> None:
        self.db.update_cluster(
            cluster,
            status=JobStatus.FAILED,
            target=JobStatus.FAILED,
            stop_time=timestamp(),
        )
        cluster.ready.set()
        cluster.shutdown.set()

    async def forward_message_to_scheduler(
        self, cluster: Any, msg: dict[str, Any]
    ) -> None:
        """Pass the message on, unless it asks for more workers than may be had."""
        if msg["op"] == "scale":
            record = self.db.get_cluster(cluster.name)
            why = self._ceilings.would_refuse(record, msg["count"])
            if why is not None:
                raise PublicException(f"not scaled to {msg['count']} workers: {why}")
        await super().forward_message_to_scheduler(cluster, msg)

    async def on_cluster_heartbeat(self, cluster_name: str, msg: Any) -> None:
        """Believe a scheduler what its user could prove, refuse the rest."""
        cluster = self.db.get_cluster(cluster_name)
        if cluster is not None:
            uid = self._processes.uid_of(cluster)
            why = heartbeat.check(msg, uid=uid, table=peers.TABLE.read_text())
            if why is not None:
                raise PublicException(why)
        await super().on_cluster_heartbeat(cluster_name, msg)

    async def _check_cluster_scale(self, cluster: Cluster) -> None:
        """Create the workers that are missing, as far as the ceilings allow now."""
        if cluster.worker_start_failure_count >= self.worker_start_failure_limit:
            await super()._check_cluster_scale(cluster)
            return
        why = None
        for _ in range(cluster.count - len(cluster.active_workers())):
            why = self._ceilings.would_refuse_one_more(cluster)
            if why is not None:
                break
            worker = self.db.create_worker(cluster)
            why = self._ceilings.admit_worker(cluster, worker.name)
            if why is not None:  # somebody was quicker
                self.db.update_worker(
                    worker,
                    status=JobStatus.STOPPED,
                    target=JobStatus.STOPPED,
                    stop_time=timestamp(),
                )
                break
            self.queue.put(worker)
        if why is not None and getattr(cluster, "waits_for", None) != why:
            self.log.info("Cluster %s waits for a worker: %s", cluster.name, why)
        cluster.waits_for = why

    async def do_setup(self) -> None:
        """Find what lives from before, and begin to sweep."""
        for cluster in list(self.db.active_clusters()):
            if self._ceilings.admit_cluster(cluster) is not None:
                await self.stop_cluster(cluster.name, failed=True)
            for item in (cluster, *cluster.workers.values()):
                process = self._processes.recorded(item)
                if process is not None:
                    self._watch(item, process)
        self.task_pool.spawn(self._warm_up())
        self.task_pool.spawn(self._sweep_loop())

    async def do_cleanup(self) -> None:
        for task in self._watchers:
            task.cancel()
        await self._processes.template.close()
        self._store.close()

    async def _warm_up(self) -> None:
        """Import Dask when the hub is up: together they would only be later both."""
        url = f"{self.runtime.hub_api_url}/"
        for _ in range(60):
            try:
                async with self.session.get(url) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                pass
            await asyncio.sleep(0.5)
        await self._processes.template.warm_up()

    async def _sweep_loop(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_PERIOD_S)
            try:
                await self._sweep()
            except Exception:
                self.log.warning("Exception while sweeping", exc_info=True)

    async def _sweep(self) -> None:
        """End what nobody owns, free what nobody holds, retry what waits."""
        active = list(self.db.active_clusters())
        held = {c.name for c in active}
        for cluster in active:
            workers = cluster.workers.values()
            held.update(w.name for w in workers if w.status < JobStatus.STOPPED)
        self._ceilings.keep_only(held)
        for cluster in active:
            try:
                await self._look_after(cluster)
            except Exception:  # one cluster's fault is not the others'
                self.log.warning("Sweeping cluster %s", cluster.name, exc_info=True)

    async def _look_after(self, cluster: Cluster) -> None:
        detached_until = cluster.start_time / 1000 + cluster.config.detached_s
        if time.time() > detached_until and self._is_orphan(cluster):
            self.log.info("Cluster %s: its notebook is gone", cluster.name)
            await self.stop_cluster(cluster.name)
        elif cluster.status == JobStatus.RUNNING and cluster.count > len(
            cluster.active_workers()
        ):
            self.queue.put(cluster)

    def _is_orphan(self, cluster: Cluster) -> bool:
        gone_for_s = self._notebook_of(cluster).gone_for_s(time.monotonic())
        return gone_for_s > self.runtime.spec.gateway.orphan_timeout

    def _notebook_of(self, cluster: Cluster) -> Notebook:
        """What the notebook declared; parsed once, for the sweep asks every second."""
        if getattr(cluster, "notebook", None) is None:
            cluster.notebook = Notebook.parse(cluster.config.notebook)
        notebook: Notebook = cluster.notebook
        return notebook

    async def _check_timeouts(self) -> None:
        """Blame nobody for silence while we ourselves did not listen.

        A suspended laptop, a stopped process or a clock that was set make every
        heartbeat look old; those that wait in our sockets have not been read yet.
        """
        now = timestamp()
        before, self._checked_at = self._checked_at, now
        if now - before > 1000 * (self.check_timeouts_period + OUR_OWN_PAUSE_S):
            for cluster in self.db.active_clusters():
                cluster.last_heartbeat = now
        await super()._check_timeouts()

    def get_tls_paths(self, cluster: Cluster) -> tuple[str, str]:
        workdir = self._processes.workdir(cluster)
        return str(workdir.certificate), str(workdir.key)

    def get_env(self, cluster: Cluster) -> dict[str, str]:
        return {**self._processes.environment(cluster), **super().get_env(cluster)}

    async def do_start_cluster(self, cluster: Cluster) -> AsyncIterator[dict[str, Any]]:
        known = self._notebook_of(cluster).environment
        self._processes.workdir(cluster).create(
            certificate=cluster.tls_cert,
            key=cluster.tls_key,
            environment=None if known is None else known.to_json(),
            owner=identity_of(self.runtime, cluster.username),
        )
        # Recorded before the process exists: its claim is found through the folder.
        yield {}
        command = self.get_scheduler_command(cluster)
        process = await self._processes.start(
            cluster,
            command[len(cluster.config.scheduler_cmd) :],
            self.get_scheduler_env(cluster),
        )
        yield {"process": process.to_json()}
        self._watch(cluster, process)

    async def do_start_worker(self, worker: Worker) -> AsyncIterator[dict[str, Any]]:
        cluster = worker.cluster
        command = self.get_worker_command(cluster, worker.name)
        process = await self._processes.start(
            worker,
            command[len(cluster.config.worker_cmd) :],
            self.get_worker_env(cluster),
        )
        yield {"process": process.to_json()}
        self._watch(worker, process)

    def _watch(self, item: Item, process: ProcessIdentity) -> None:
        """React at once when a process ends, whoever its parent is."""

        async def watch() -> None:
            await wait_gone(process)
            if item.target > JobStatus.RUNNING or item.status >= JobStatus.STOPPED:
                return
            self.log.info("Process %d of %s ended", process.pid, item.name)
            expected = isinstance(item, Worker) and item.close_expected
            target = JobStatus.STOPPED if expected else JobStatus.FAILED
            if isinstance(item, Worker):
                if item.status < JobStatus.RUNNING:
                    item.cluster.worker_start_failure_count += 1
                self.db.update_worker(item, target=target)
            else:
                self.db.update_cluster(item, target=target)
            self.queue.put(item)

        task = asyncio.create_task(watch())
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def do_stop_worker(self, worker: Worker) -> None:
        await self._processes.end(worker)
        self._ceilings.release(worker.name)

    async def do_stop_cluster(self, cluster: Cluster) -> None:
        await self._processes.end(cluster)
        # What people leave behind can take long to remove.
        await asyncio.to_thread(self._processes.workdir(cluster).remove_private)
        await asyncio.to_thread(
            remove_old,
            self.runtime.clusters_dir,
            before=time.time() - KEEP_LOGS_S,
            keep=set(self.db.name_to_cluster),
        )
        self._ceilings.release(cluster.name)

    async def do_check_clusters(self, clusters: list[Cluster]) -> list[bool]:
        return [self._processes.is_alive(cluster) for cluster in clusters]

    async def do_check_workers(self, workers: list[Worker]) -> list[bool]:
        return [self._processes.is_alive(worker) for worker in workers]
