"""What a person's agent knew last of each site. Durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from offload.jobs.database import Database
from offload.jobs.tables import sites


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What is known of a site."""

    name: str
    state: str
    """``ready``, ``starting``, ``away``, ``paused``."""
    detail: str = ""
    until: float | None = None
    info: str | None = None
    """Its SystemInfo as JSON, as it said last."""
    at: float = 0.0


class SiteReports:
    """The part of a ledger that knows of them.

    Args:
        database: of the ledger.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> dict[str, SiteReport]:
        """Return the last one of each site, by its name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(sites)).mappings()
            return {row["name"]: SiteReport(**row) for row in rows}

    def record(self, report: SiteReport) -> None:
        """Record what is known now; without ``info`` the last one is kept."""
        values = {
            "state": report.state,
            "detail": report.detail,
            "until": report.until,
            "at": self._clock(),
        }
        if report.info is not None:
            values["info"] = report.info
        with self._database.write() as connection:
            connection.execute(
                insert(sites)
                .values(name=report.name, **values)
                .on_conflict_do_update(index_elements=[sites.c.name], set_=values)
            )
