"""Leases in a database: granted below the ceilings, or refused with the numbers.

Every grant is one transaction that takes the write lock *before* it counts, so two
processes that race for the last unit never both get it. A lease has an id of the
caller's; to grant the same id twice grants it once, and to release it twice is fine:
a caller that was killed may simply do it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from facility.broker.ceilings import Amount, Bound, Refusal, fitting, refusal
from facility.broker.migrate import upgrade
from facility.broker.tables import leases
from facility.spec import Ceiling
from facility.sqlite import made_by_one, open_engine


@dataclass(frozen=True, slots=True)
class Lease:
    """Something in use by a user."""

    id: str
    user: str
    cluster: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Limits:
    """The ceilings that bind one request; ``None`` binds nothing."""

    cluster: Ceiling | None = None
    user: Ceiling | None = None
    facility: Ceiling | None = None


class LeaseStore:
    """The leases of one facility, in an SQLite file shared by its processes.

    Args:
        path: The file; made, and brought to the current schema, if need be.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # All that is counted stays as it is until the lease is written.
        self._engine = open_engine(path, writes=lambda _: True)
        with made_by_one(path):
            upgrade(self._engine)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def grant(
        self, ids: Sequence[str], user: str, cluster: str, unit: Amount, limits: Limits
    ) -> tuple[tuple[str, ...], Refusal | None]:
        """Lease ``unit`` once for each id, as many as fit, in the order given.

        Returns:
            The ids that are leased now (those already leased included), and why
            there are not more of them (``None`` if all fit).
        """
        with self._transaction() as connection:
            known = set(
                connection.scalars(sa.select(leases.c.id).where(leases.c.id.in_(ids)))
            )
            wanted = [id_ for id_ in ids if id_ not in known]
            bounds = self._bounds(connection, user, cluster, limits)
            count = fitting(unit, len(wanted), bounds)
            granted = wanted[:count]
            if granted:
                connection.execute(
                    leases.insert(),
                    [
                        {
                            "id": id_,
                            "user": user,
                            "cluster": cluster,
                            "clusters": unit.clusters,
                            "workers": unit.workers,
                            "cores": unit.cores,
                            "memory": unit.memory,
                            "granted_at": self._clock(),
                        }
                        for id_ in granted
                    ],
                )
            why = refusal(unit, len(wanted), bounds) if count < len(wanted) else None
            return tuple(i for i in ids if i in known or i in granted), why

    def would_refuse(
        self, count: int, user: str, cluster: str, unit: Amount, limits: Limits
    ) -> Refusal | None:
        """Say why ``count`` more units would not fit now; ``None`` if they would."""
        with self._transaction() as connection:
            bounds = self._bounds(connection, user, cluster, limits)
            return refusal(unit, count, bounds)

    def release(self, *ids: str) -> None:
        """End the leases of these ids; unknown ones are no error."""
        with self._transaction() as connection:
            connection.execute(leases.delete().where(leases.c.id.in_(ids)))

    def keep_only(self, ids: Sequence[str]) -> int:
        """End every lease that is not among ``ids``; return how many ended."""
        with self._transaction() as connection:
            rows = connection.execute(leases.delete().where(leases.c.id.not_in(ids)))
            return rows.rowcount

    def used(self, *, user: str | None = None, cluster: str | None = None) -> Amount:
        """Return what is in use: by a user, in a cluster, or altogether."""
        with self._transaction() as connection:
            return self._used(connection, user=user, cluster=cluster)

    def leases(self) -> list[Lease]:
        """Return every lease, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(leases).order_by(leases.c.granted_at))
            return [
                Lease(
                    row.id,
                    row.user,
                    row.cluster,
                    Amount(row.clusters, row.workers, row.cores, row.memory),
                )
                for row in rows
            ]

    def _used(
        self,
        connection: sa.Connection,
        *,
        user: str | None = None,
        cluster: str | None = None,
    ) -> Amount:
        query = sa.select(
            sa.func.coalesce(sa.func.sum(leases.c.clusters), 0),
            sa.func.coalesce(sa.func.sum(leases.c.workers), 0),
            sa.func.coalesce(sa.func.sum(leases.c.cores), 0.0),
            sa.func.coalesce(sa.func.sum(leases.c.memory), 0),
        )
        if user is not None:
            query = query.where(leases.c.user == user)
        if cluster is not None:
            query = query.where(leases.c.cluster == cluster)
        clusters, workers, cores, memory = connection.execute(query).one()
        return Amount(clusters, workers, cores, memory)

    def _bounds(
        self, connection: sa.Connection, user: str, cluster: str, limits: Limits
    ) -> list[Bound]:
        bounds = []
        if limits.cluster is not None:
            used = self._used(connection, cluster=cluster)
            bounds.append(Bound("this cluster", limits.cluster, used))
        if limits.user is not None:
            used = self._used(connection, user=user)
            bounds.append(Bound(f"user {user}", limits.user, used))
        if limits.facility is not None:
            used = self._used(connection)
            bounds.append(Bound("the facility", limits.facility, used))
        return bounds
