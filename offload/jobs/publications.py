"""Which public images a person's agent has to hand over, and which it has. Durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from offload.jobs.database import Database
from offload.jobs.tables import publications

RENEWED_S = 86400.0
"""What was wanted so long ago is handed over again if it is wanted again."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A public image that is to be published."""

    image: str
    """Digest of its manifest."""
    source: str
    """Digest of the snapshot's image whose public part it is."""
    wanted_at: float
    """When it was wanted last, but for a day: seconds since the epoch."""
    is_handed_over: bool
    """Whether who publishes has it; from then on it is his to do."""
    is_refused: bool
    detail: str
    """Why it waits or was refused; for people."""

    published: str | None = None
    """Digest of what is published in its place, if not all of it is."""

    @property
    def there(self) -> str:
        """Digest of what a publisher has, or would have."""
        return self.published or self.image

    @property
    def is_open(self) -> bool:
        """Whether something is left to be done here."""
        return not self.is_handed_over and not self.is_refused


class Publications:
    """The part of a ledger that knows of them.

    Args:
        database: of the ledger.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def want(self, image: str, source: str) -> None:
        """Record that an image is to be published; nothing happens if it was lately.

        Durable when this returns. What was handed over or refused long ago is tried
        again: who publishes may have lost it, or changed his mind.
        """
        now = self._clock()
        row = {"image": image, "source": source, "wanted_at": now, "detail": ""}
        again = row | {"handed_over_at": None, "refused_at": None}
        with self._database.write() as connection:
            connection.execute(
                insert(publications)
                .values(**row)
                .on_conflict_do_update(
                    index_elements=[publications.c.image],
                    set_=again,
                    where=publications.c.wanted_at < now - RENEWED_S,
                )
            )

    def forget(self, image: str) -> None:
        """Forget an image that cannot be handed over any more."""
        with self._database.write() as connection:
            connection.execute(
                publications.delete().where(publications.c.image == image)
            )

    def all(self) -> list[Publication]:
        """Return every one there is, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(publications).order_by(publications.c.wanted_at)
            ).mappings()
            return [
                Publication(
                    row["image"],
                    row["source"],
                    row["wanted_at"],
                    row["handed_over_at"] is not None,
                    row["refused_at"] is not None,
                    row["detail"],
                    row["published"],
                )
                for row in rows
            ]

    def open(self) -> list[Publication]:
        """Return those with something left to do here, the oldest first."""
        return [each for each in self.all() if each.is_open]

    def is_published_as(self, image: str, published: str | None) -> None:
        """Record what is published in place of an image; None if it is it."""
        self._set(image, published=published)

    def handed_over(self, image: str) -> None:
        """Record that who publishes has an image."""
        self._set(image, handed_over_at=self._clock(), refused_at=None, detail="")

    def refused(self, image: str, detail: str) -> None:
        """Record that an image will not be published, and why."""
        self._set(image, refused_at=self._clock(), detail=detail)

    def waits(self, image: str, detail: str) -> None:
        """Record what an image waits for."""
        self._set(image, detail=detail)

    def _set(self, image: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(
                publications.update()
                .where(publications.c.image == image)
                .values(**values)
            )
