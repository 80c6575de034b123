"""The history: which revisions are kept, each by name. An SQLite file.

CernVM-FS technical documentation, "Named Snapshots", schema 1.0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import ObjectName, Suffix

_TABLES = """
CREATE TABLE tags (name TEXT, hash TEXT, revision INTEGER, timestamp INTEGER,
  channel INTEGER, description TEXT, size INTEGER,
  CONSTRAINT pk_tags PRIMARY KEY (name));
CREATE TABLE properties (key TEXT, value TEXT,
  CONSTRAINT pk_properties PRIMARY KEY (key));
"""


class Tag(NamedTuple):
    """A kept revision. Every revision has one that its number gives the name of."""

    name: str
    catalogue: ObjectName
    """Its root."""
    catalogue_bytes: int
    revision: int
    published: datetime
    """UTC, to the second."""
    description: str = ""

    @property
    def is_automatic(self) -> bool:
        """Whether nobody has given it its name."""
        return self.name == automatic_name(self.revision)


def automatic_name(revision: int) -> str:
    """Return the name that a revision has if nobody gives it one."""
    return f"revision-{revision}"


def write_history(fqrn: str, tags: Iterable[Tag]) -> bytes:
    """Return the history's bytes, not compressed; the same tags give the same bytes."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(_TABLES)
        connection.executemany(
            "INSERT INTO properties VALUES (?, ?)",
            [("schema", "1.0"), ("schema_revision", "1"), ("fqrn", fqrn)],
        )
        connection.executemany(
            "INSERT INTO tags VALUES (?, ?, ?, ?, 0, ?, ?)",
            (
                (
                    tag.name,
                    tag.catalogue.hex,
                    tag.revision,
                    int(tag.published.timestamp()),
                    tag.description,
                    tag.catalogue_bytes,
                )
                for tag in sorted(tags, key=lambda tag: (tag.revision, tag.name))
            ),
        )
        return connection.serialize()


def read_history(data: bytes) -> tuple[Tag, ...]:
    """Return the tags of a history, oldest revision first.

    Raises:
        RepositoryError: it is none.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        if data:  # SQLite takes nothing for a lack of memory
            connection.deserialize(data)
        try:
            found = connection.execute(
                "SELECT name, hash, size, revision, timestamp, description FROM tags "
                "ORDER BY revision, name"
            ).fetchall()
        except sqlite3.Error as error:
            raise RepositoryError(f"the history cannot be read: {error}") from None
    return tuple(
        Tag(
            name,
            ObjectName.parse(digest, Suffix.CATALOGUE),
            size or 0,
            revision,
            datetime.fromtimestamp(timestamp, UTC),
            description or "",
        )
        for name, digest, size, revision, timestamp, description in found
    )
