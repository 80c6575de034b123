"""How often the publisher ended in the middle of an image, or of a name.

Counted by what it worked on, not by who asked: whoever pushes again what ends the
publisher, under whatever name, does not begin anew. A count holds for a day after the
last crash.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from offload.cache.publishing.rows import crashes
from offload.cache.publishing.work import CRASHES_COUNT_S


def crashes_of(
    connection: sa.Connection, subjects: Iterable[str | None], now: float
) -> int:
    """Return the highest count among images (digests) and names."""
    found = connection.scalar(
        sa.select(sa.func.max(crashes.c.number)).where(
            crashes.c.subject.in_(list(filter(None, subjects))), _counts(now)
        )
    )
    return found or 0


def count_crash(connection: sa.Connection, subject: str, now: float) -> int:
    """Count one more; return how many there are."""
    number = crashes_of(connection, [subject], now) + 1
    forgive(connection, [subject])
    connection.execute(crashes.insert().values(subject=subject, number=number, at=now))
    connection.execute(crashes.delete().where(sa.not_(_counts(now))))
    return number


def forgive(connection: sa.Connection, subjects: Iterable[str | None]) -> None:
    """Forget the counts of images and names."""
    chosen = crashes.c.subject.in_(list(filter(None, subjects)))
    connection.execute(crashes.delete().where(chosen))


def _counts(now: float) -> sa.ColumnElement[bool]:
    """Also later than now, by as much: the clock may have been set back."""
    return crashes.c.at.between(now - CRASHES_COUNT_S, now + CRASHES_COUNT_S)
