"""Ceilings of users and the facility over all clusters, kept as leases."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dask_gateway_server.backends.db_base import Cluster

from facility.broker import Amount, LeaseStore, Limits, Refusal
from facility.spec import Facility


class ClusterCeilings:
    """Grants leases to clusters and workers below the ceilings of the file."""

    def __init__(self, spec: Facility, store: LeaseStore) -> None:
        self._spec = spec
        self._store = store

    def admit_cluster(self, cluster: Cluster) -> Refusal | None:
        """Lease the cluster, or say why not. A second time changes nothing."""
        _, why = self._store.grant(
            [cluster.name],
            cluster.username,
            cluster.name,
            Amount(clusters=1),
            self._limits(cluster),
        )
        return why

    def admit_worker(self, cluster: Cluster, worker: str) -> Refusal | None:
        """Lease a worker of the cluster, or say why not."""
        _, why = self._store.grant(
            [worker],
            cluster.username,
            cluster.name,
            self._worker(cluster),
            self._limits(cluster),
        )
        return why

    def would_refuse(self, cluster: Cluster, count: int) -> Refusal | None:
        """Say why the cluster could not have ``count`` workers altogether now."""
        return self._would_refuse(
            cluster, count - self._store.used(cluster=cluster.name).workers
        )

    def would_refuse_one_more(self, cluster: Cluster) -> Refusal | None:
        """Say why the cluster could not have another worker now."""
        return self._would_refuse(cluster, 1)

    def _would_refuse(self, cluster: Cluster, more: int) -> Refusal | None:
        return self._store.would_refuse(
            more,
            cluster.username,
            cluster.name,
            self._worker(cluster),
            self._limits(cluster),
        )

    def release(self, name: str) -> None:
        """End the lease of a cluster or worker."""
        self._store.release(name)

    def keep_only(self, names: Collection[str]) -> None:
        """End the leases of everything that is not in use any more."""
        self._store.keep_only(list(names))

    def _limits(self, cluster: Cluster) -> Limits:
        ceilings = self._spec.gateway.ceilings
        return Limits(
            cluster=ceilings.cluster,
            user=self._spec.ceiling_of(cluster.username),
            facility=ceilings.facility,
        )

    @staticmethod
    def _worker(cluster: Cluster) -> Amount:
        config: Any = cluster.config
        return Amount(workers=1, cores=config.worker_cores, memory=config.worker_memory)
