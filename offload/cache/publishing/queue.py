"""What is to be looked at, and what became of it: one durable row for each name.

A name that is asked for again before its turn is looked at once. One that is asked for
while it is being looked at is looked at once more: each request counts up the row's
``asked``, and what is written at the end says up to which one it holds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from facility.sqlite import made_by_one, open_engine
from offload.cache.publishing.errors import room_for_notes
from offload.cache.publishing.references import Reference

SHORTEST_S = 1.0
LONGEST_S = 600.0
_FARTHEST_S = 2 * LONGEST_S
_MESSAGE_LENGTH = 2000
_WRITES = "queue_writes"
_VERSION = 1

_metadata = sa.MetaData()

_names = sa.Table(
    "names",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("due", sa.Float, index=True),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("image", sa.String, index=True),
    sa.Column("told", sa.String),
    sa.Column("expected", sa.String),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("done", sa.BigInteger, nullable=False, default=0),
    sa.Column("total", sa.BigInteger, nullable=False, default=0),
    sa.Column("at", sa.Float, nullable=False),
)
"""``due`` is NULL where nothing is to be done."""


class State(StrEnum):
    """What is known of a name."""

    WAITING = "waiting"
    """Its turn has not come, or what was tried failed and will be tried again."""
    PUBLISHED = "published"
    REFUSED = "refused"
    """What it means will not be published; asked again it is looked at again."""
    GONE = "gone"
    """Its registry does not have it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. Times are seconds since the epoch."""

    reference: Reference
    state: State
    image: str | None
    """Digest of the image that it meant last."""
    told: str | None
    """What its registry called that: the digest of an index, perhaps."""
    detail: str
    """Why it waits or was refused; for people."""
    asked_at: float
    due: float | None
    at: float
    """When the state became what it is."""
    done: int
    total: int
    """Bytes that are here of those that have to come, while it waits."""
    failures: int
    """In a row."""


@dataclass(frozen=True, slots=True)
class Work:
    """A name whose turn it is."""

    reference: Reference
    asked: int
    """Up to which request an answer holds."""
    failures: int
    asked_at: float
    expected: str | None
    """What its registry will say in a moment that it means, if who asked knew."""


class Queue:
    """Names in one file (mode 0600); any number of processes may ask and look."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = open_engine(
            path, writes=lambda c: bool(c.get_execution_options().get(_WRITES, False))
        )
        with made_by_one(path), self._write() as connection:
            _metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={_VERSION}")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def ask(
        self,
        references: Iterable[Reference],
        now: float,
        *,
        image: str | None = None,
        expected: str | None = None,
    ) -> None:
        """Have names looked at; on the disk when this returns.

        Args:
            references: the names.
            now: seconds since the epoch.
            image: digest of what they mean, where that is known.
            expected: what their registry will say in a moment that they mean.
        """
        with self._write() as connection:
            for reference in references:
                values: dict[str, object] = {
                    "asked_at": now,
                    "due": now,
                    "failures": 0,
                    "expected": expected,
                }
                if image is not None:
                    values["image"] = image
                changed = connection.execute(
                    _names.update()
                    .where(_names.c.name == str(reference))
                    .values(asked=_names.c.asked + 1, **values)
                )
                if changed.rowcount == 0:
                    connection.execute(
                        _names.insert().values(
                            name=str(reference),
                            asked=1,
                            state=State.WAITING,
                            at=now,
                            **values,
                        )
                    )

    def next(self, now: float) -> Work | None:
        """Return whose turn it is, the longest due first.

        Also what is due later than ever was meant: the clock has been set back.
        """
        query = (
            sa.select(_names)
            .where(sa.or_(_names.c.due <= now, _names.c.due > now + _FARTHEST_S))
            .order_by(_names.c.due, _names.c.asked_at, _names.c.name)
            .limit(1)
        )
        with self._read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return Work(
            Reference.parse(row.name),
            row.asked,
            row.failures,
            row.asked_at,
            row.expected,
        )

    def answer(
        self,
        work: Work,
        state: State,
        image: str | None,
        now: float,
        *,
        told: str | None = None,
        detail: str = "",
    ) -> None:
        """Write what became of a name; it stays due if it was asked for since.

        Args:
            work: the name.
            state: what it is now.
            image: digest of the image that it means.
            now: seconds since the epoch.
            told: what its registry calls that: the digest of an index, perhaps.
            detail: why, for people.
        """
        with self._write() as connection:
            connection.execute(
                _names.update()
                .where(_names.c.name == str(work.reference))
                .values(
                    due=sa.case((_names.c.asked > work.asked, now), else_=None),
                    failures=0,
                    state=state,
                    image=image,
                    told=told,
                    detail=detail[:_MESSAGE_LENGTH],
                    at=now,
                    done=0,
                    total=0,
                )
            )

    def postpone(self, work: Work, now: float, detail: str) -> None:
        """Write that it failed, to be tried again later, unless it was asked since."""
        wait_s = delay_s(work.failures + 1, random.random())
        with self._write() as connection:
            connection.execute(
                _names.update()
                .where(
                    _names.c.name == str(work.reference), _names.c.asked == work.asked
                )
                .values(
                    due=now + wait_s,
                    failures=work.failures + 1,
                    detail=detail[:_MESSAGE_LENGTH],
                    at=now,
                )
            )

    def look_again(self, work: Work, due: float) -> None:
        """Write that it is too early to tell, unless it was asked for since."""
        with self._write() as connection:
            connection.execute(
                _names.update()
                .where(
                    _names.c.name == str(work.reference), _names.c.asked == work.asked
                )
                .values(due=due)
            )

    def progress(self, work: Work, image: str, done: int, total: int) -> None:
        """Write what a name means, and how many bytes of that are here."""
        with self._write() as connection:
            connection.execute(
                _names.update()
                .where(_names.c.name == str(work.reference))
                .values(image=image, done=done, total=total)
            )

    def forget(self, references: Iterable[Reference]) -> None:
        """Drop what is known of names."""
        with self._write() as connection:
            for reference in references:
                connection.execute(
                    _names.delete().where(_names.c.name == str(reference))
                )

    def next_due(self) -> float | None:
        """Return when the next turn comes; None without any."""
        with self._read() as connection:
            found: float | None = connection.scalar(
                sa.select(sa.func.min(_names.c.due))
            )
        return found

    def entry(self, reference: Reference) -> Entry | None:
        """Return what is known of a name."""
        query = sa.select(_names).where(_names.c.name == str(reference))
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _entry(row)

    def entries(self, image: str | None = None) -> tuple[Entry, ...]:
        """Return every name, or those of one image, in the order of names."""
        query = sa.select(_names).order_by(_names.c.name)
        if image is not None:
            query = query.where(_names.c.image == image)
        with self._read() as connection:
            return tuple([_entry(row) for row in connection.execute(query)])

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with room_for_notes(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with (
            room_for_notes(),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection


def delay_s(failures: int, chance: float) -> float:
    """Return how long to wait after so many failures in a row.

    Args:
        failures: at least one.
        chance: from 0 to 1, so that many do not come back as one.
    """
    doubled_s: float = SHORTEST_S * 2.0 ** min(failures - 1, 16)
    return min(doubled_s, LONGEST_S) * (0.75 + chance / 2)


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    is_open = row.due is not None
    return Entry(
        Reference.parse(row.name),
        State.WAITING if is_open else State(row.state),
        row.image,
        row.told,
        row.detail,
        row.asked_at,
        row.due,
        row.at,
        row.done,
        row.total,
        row.failures,
    )
