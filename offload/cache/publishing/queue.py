"""What is to be looked at, and what became of it: one durable row for each name.

A name that is asked for again before its turn is looked at once. One that is asked for
while it is being looked at is looked at once more: each request counts up the row's
``asked``, and what is written at the end says up to which one it holds.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from facility.sqlite import made_by_one, open_engine
from offload.cache.publishing.crashes import count_crash, crashes_of, forgive
from offload.cache.publishing.errors import room_for_notes
from offload.cache.publishing.references import Reference
from offload.cache.publishing.rows import ensure_schema, entry_of, names, work_of
from offload.cache.publishing.work import LONGEST_S, Entry, State, Work, delay_s

_FARTHEST_S = 2 * LONGEST_S
_MESSAGE_LENGTH = 2000
_WRITES = "queue_writes"
_RELEASED: dict[str, object] = {"held": 0, "working": None}


class Queue:
    """Names in one file (mode 0600); any process may ask, the threads of one take."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = open_engine(
            path, writes=lambda c: bool(c.get_execution_options().get(_WRITES, False))
        )
        self._taking = threading.Lock()
        self._taken: dict[str, int] = {}
        """Names that are worked on now, and how often each has ended the process."""
        with made_by_one(path), self._write() as connection:
            ensure_schema(connection)

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
                    _change(reference).values(asked=names.c.asked + 1, **values)
                )
                if changed.rowcount == 0:
                    connection.execute(
                        names.insert().values(
                            name=str(reference),
                            asked=1,
                            state=State.WAITING,
                            at=now,
                            **values,
                        )
                    )

    def take(self, now: float) -> Work | None:
        """Return whose turn it is, the longest due first, of what nobody works on.

        Also what is due later than ever was meant: the clock has been set back. That
        somebody works on it is on the disk then: see :meth:`recover`. What has ended the
        process before is worked on alone: it takes nobody else along.
        """
        is_due = sa.or_(names.c.due <= now, names.c.due > now + _FARTHEST_S)
        with self._taking:
            with self._write() as connection:
                query = (
                    sa.select(names)
                    .where(is_due, names.c.name.not_in(self._taken))
                    .order_by(names.c.due, names.c.asked_at, names.c.name)
                    .limit(1)
                )
                row = connection.execute(query).first()
                if row is None:
                    return None
                subjects = (row.name, row.image, row.expected)
                crashes = crashes_of(connection, subjects, now)
                if self._taken and (crashes or any(self._taken.values())):
                    return None
                connection.execute(_change(row.name).values(held=1))
            # Not before it is written: who could not write it does not work on it.
            self._taken[row.name] = crashes
        return work_of(row, crashes)

    def begin(self, work: Work, image: str, now: float) -> int:
        """Write which image a name means; return how often that has ended the process."""
        subjects = [str(work.reference), image]
        with self._write() as connection:
            change = _change(work.reference)
            connection.execute(change.values(working=image, image=image))
            crashes = crashes_of(connection, subjects, now)
        with self._taking:
            self._taken[subjects[0]] = crashes
        return crashes

    def forgive(self, reference: Reference) -> None:
        """Forget the crashes of a name, and of the image that it meant last."""
        is_it = names.c.name == str(reference)
        with self._write() as connection:
            for row in connection.execute(names.select().where(is_it)).all():
                forgive(connection, [row.name, row.image, row.expected])

    def recover(self, now: float) -> None:
        """Count the crash of what was worked on, and let all others go first.

        Only for who is the only one that takes, before he does.
        """
        self._taken.clear()
        with self._write() as connection:
            held = connection.execute(names.select().where(names.c.held == 1))
            for row in held.all():
                crashes = count_crash(connection, row.working or row.name, now)
                connection.execute(
                    _change(row.name).values(
                        **_RELEASED,
                        due=now + delay_s(crashes, random.random()),
                        detail="the publisher ended while it worked on it",
                    )
                )

    def excuse(self) -> None:
        """Count no crash of what is worked on: who ends the process now was asked to."""
        with self._write() as connection:
            connection.execute(names.update().values(**_RELEASED))

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
        with self._released(work), self._write() as connection:
            if state is State.PUBLISHED:
                forgive(connection, [str(work.reference), image])
            connection.execute(
                _change(work.reference).values(
                    **_RELEASED,
                    due=sa.case((names.c.asked > work.asked, now), else_=None),
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
        failures = work.failures + 1
        self._put_back(
            work,
            due=now + delay_s(failures, random.random()),
            failures=failures,
            detail=detail[:_MESSAGE_LENGTH],
            at=now,
        )

    def look_again(self, work: Work, due: float) -> None:
        """Write that it is too early to tell, unless it was asked for since."""
        self._put_back(work, due=due)

    def _put_back(self, work: Work, **changes: object) -> None:
        is_newest = names.c.asked == work.asked
        values = {
            column: sa.case((is_newest, value), else_=names.c[column])
            for column, value in changes.items()
        }
        with self._released(work), self._write() as connection:
            change = _change(work.reference)
            connection.execute(change.values(**_RELEASED, **values))

    def progress(self, work: Work, image: str, done: int, total: int) -> None:
        """Write what a name means, and how many bytes of that are here."""
        with self._write() as connection:
            change = _change(work.reference)
            connection.execute(change.values(image=image, done=done, total=total))

    def forget(self, references: Iterable[Reference], asked_before: float) -> None:
        """Drop what is known of names that nobody has asked for since then."""
        is_old = names.c.asked_at < asked_before
        with self._write() as connection:
            for each in references:
                connection.execute(
                    names.delete().where(names.c.name == str(each), is_old)
                )

    def waiting(self) -> set[str]:
        """Return the digests of the images that wait, as far as they are known."""
        query = sa.select(names.c.name, names.c.image).where(names.c.due.is_not(None))
        with self._read() as connection:
            found = connection.execute(query).all()
        pinned = {name.rpartition("@")[2] for name, _ in found if "@" in name}
        return pinned | {image for _, image in found if image is not None}

    def next_due(self) -> float | None:
        """Return when the next turn comes of what nobody works on; None without any."""
        with self._taking:
            taken = tuple(self._taken)
        query = sa.select(sa.func.min(names.c.due)).where(names.c.name.not_in(taken))
        with self._read() as connection:
            found: float | None = connection.scalar(query)
        return found

    def entry(self, reference: Reference) -> Entry | None:
        """Return what is known of a name."""
        query = sa.select(names).where(names.c.name == str(reference))
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else entry_of(row)

    def entries(self, image: str | None = None) -> tuple[Entry, ...]:
        """Return every name, or those of one image, in the order of names."""
        query = sa.select(names).order_by(names.c.name)
        if image is not None:
            query = query.where(names.c.image == image)
        with self._read() as connection:
            return tuple([entry_of(row) for row in connection.execute(query)])

    @contextmanager
    def _released(self, work: Work) -> Iterator[None]:
        """Let others take a name then, also if that cannot be written."""
        try:
            yield
        finally:
            with self._taking:
                self._taken.pop(str(work.reference), None)

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


def _change(name: Reference | str) -> sa.Update:
    return names.update().where(names.c.name == str(name))
