"""Reads file catalogues: SQLite files that say what lies where, with which content.

CernVM-FS technical documentation, "File Catalog", schema 2.5. A catalogue describes one
folder and what is below it, up to where nested catalogues take over.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import ObjectName, Suffix, key_of, numbers_of, parent_of
from offload.cache.cvmfs.rows import Chunk, Nested, Row
from offload.snapshot.tree import Kind

SCHEMA = "2.5"

FOLDER, MOUNT_POINT, FILE, LINK, CATALOGUE_ROOT, CHUNKED = 1, 2, 4, 8, 32, 64
"""Bits of the column ``flags``."""

_COLUMNS = "hash, size, mode, mtime, flags, name, symlink, md5path_1, md5path_2"
_LOOKUP = f"SELECT {_COLUMNS} FROM catalog WHERE md5path_1 = ? AND md5path_2 = ?"  # noqa: S608
_LISTING = f"SELECT {_COLUMNS} FROM catalog WHERE parent_1 = ? AND parent_2 = ?"  # noqa: S608
_CHUNKS = (
    "SELECT offset, size, hash FROM chunks WHERE md5path_1 = ? AND md5path_2 = ? "
    "ORDER BY offset"
)


class Counters(NamedTuple):
    """How much there is: in a catalogue by itself, or in all that are nested in it."""

    regular: int = 0
    """Files, chunked ones too."""
    symlink: int = 0
    special: int = 0
    dir: int = 0
    nested: int = 0
    """Catalogues."""
    chunked: int = 0
    """Files in chunks."""
    chunks: int = 0
    file_size: int = 0
    """Bytes."""
    chunked_size: int = 0
    """Bytes of the files in chunks."""
    xattr: int = 0
    external: int = 0
    external_file_size: int = 0

    def plus(self, other: Counters) -> Counters:
        return Counters(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: Counters) -> Counters:
        return Counters(*(a - b for a, b in zip(self, other, strict=True)))


class Catalogue:
    """A catalogue, opened; may be asked from several threads.

    What it is made from must have been verified: only the catalogue's form is checked.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._name = name
        self._connection = connection
        self._properties: dict[bytes, bytes] = {}
        self._nested: dict[bytes, Nested] = {}
        connection.text_factory = bytes  # names are bytes, not always UTF-8
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            self._check()
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a catalogue that lies in a file, decompressed; nobody may change it.

        Raises:
            RepositoryError: it is none.
        """
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        try:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise RepositoryError(f"{path}: no catalogue: {error}") from None
        return cls(connection, str(path))

    @classmethod
    def of(cls, data: bytes, name: str) -> Self:
        """Open a catalogue that lies in memory.

        Args:
            data: the file's bytes, decompressed.
            name: of it, for errors.

        Raises:
            RepositoryError: it is none.
        """
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        if data:  # SQLite takes nothing for a lack of memory
            connection.deserialize(data)
        return cls(connection, name)

    def close(self) -> None:
        """Free what it holds. It cannot be asked any more."""
        self._connection.close()

    @property
    def root(self) -> bytes:
        """The path of the folder that it describes; empty of the root catalogue."""
        prefix: bytes = self._properties.get(b"root_prefix", b"")
        return prefix

    @property
    def revision(self) -> int:
        """The repository's revision in a root catalogue; 1 in all others."""
        return int(self._properties[b"revision"])

    @property
    def modified(self) -> int:
        """When the revision was made: seconds since the epoch; 0 in nested ones."""
        return int(self._properties[b"last_modified"])

    def nested(self) -> tuple[Nested, ...]:
        """Return where other catalogues take over, sorted by path."""
        return tuple(self._nested.values())

    def nested_of(self, path: bytes) -> Nested | None:
        """Return which nested catalogue describes what lies *at* a path, if one does.

        The folder where it takes over is described by both.
        """
        while path not in self._nested:
            if not path:
                return None
            path = parent_of(path)
        return self._nested[path]

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at an absolute path; None if nothing does, here."""
        found = self._all(_LOOKUP, numbers_of(key_of(path)))
        return self._row(found[0]) if found else None

    def listing(self, path: bytes) -> list[Row]:
        """Return what lies directly in a folder, sorted by name.

        Of a mount point that is nothing: its catalogue knows.
        """
        rows = map(self._row, self._all(_LISTING, numbers_of(key_of(path))))
        return sorted(rows, key=lambda row: row.name)

    def chunks(self, path: bytes) -> tuple[Chunk, ...]:
        """Return the parts of a large file; nothing if it is in one piece."""
        return self._chunks(numbers_of(key_of(path)))

    def rows(self) -> Iterator[tuple[bytes, bytes, Row]]:
        """Yield the key, the key of the parent, and the row of every entry."""
        chunks: dict[tuple[int, int], list[Chunk]] = {}
        for first, second, *chunk in self._all(
            "SELECT md5path_1, md5path_2, offset, size, hash FROM chunks "
            "ORDER BY md5path_1, md5path_2, offset"
        ):
            chunks.setdefault((first, second), []).append(Chunk(*chunk))
        for *row, parent_1, parent_2 in self._all(
            f"SELECT {_COLUMNS}, parent_1, parent_2 FROM catalog"  # noqa: S608
        ):
            numbers = row[7], row[8]
            parts = tuple(chunks.get(numbers, ()))
            yield _key(*numbers), _key(parent_1, parent_2), _row(row, parts)

    def objects(self) -> Iterator[ObjectName]:
        """Yield the objects that it names: contents and nested catalogues."""
        for (digest,) in self._all("SELECT hash FROM catalog WHERE hash IS NOT NULL"):
            yield ObjectName(digest)
        for (digest,) in self._all("SELECT hash FROM chunks"):
            yield ObjectName(digest, Suffix.CHUNK)
        for nested in self._nested.values():
            yield nested.object

    def counters(self) -> tuple[Counters, Counters]:
        """Return what there is in it alone, and in all that are nested in it."""
        found = dict(self._all("SELECT counter, value FROM statistics"))
        own, below = (
            Counters(
                *(found.get(b"%b_%b" % (prefix, name.encode()), 0) for name in names)
            )
            for prefix, names in (
                (b"self", Counters._fields),
                (b"subtree", Counters._fields),
            )
        )
        return own, below

    def _check(self) -> None:
        self._properties = dict(self._all("SELECT key, value FROM properties"))
        if self._properties.get(b"schema") != SCHEMA.encode():
            raise RepositoryError(
                f"{self._name}: expected a catalogue of schema {SCHEMA}"
            )
        for path, digest, size in self._all(
            "SELECT path, sha1, size FROM nested_catalogs ORDER BY path"
        ):
            name = ObjectName.parse(digest.decode(), Suffix.CATALOGUE)
            self._nested[path] = Nested(path, name, size)

    def _row(self, found: Sequence[Any]) -> Row:
        parts = self._chunks((found[7], found[8])) if found[4] & CHUNKED else ()
        return _row(found, parts)

    def _chunks(self, numbers: tuple[int, int]) -> tuple[Chunk, ...]:
        return tuple(Chunk(*chunk) for chunk in self._all(_CHUNKS, numbers))

    def _all(self, query: str, parameters: Sequence[int] = ()) -> list[Any]:
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise RepositoryError(f"{self._name}: no catalogue: {error}") from None

    def __del__(self) -> None:
        with suppress(AttributeError, sqlite3.Error):
            self._connection.close()


def _row(found: Sequence[Any], chunks: tuple[Chunk, ...]) -> Row:
    digest, size, mode, mtime, flags, name, target = found[:7]
    if flags & FOLDER:
        kind = Kind.FOLDER
    elif flags & LINK:
        kind = Kind.LINK
    else:
        kind = Kind.FILE
    return Row(
        name,
        kind,
        stat.S_IMODE(mode),
        size,
        mtime,
        digest,
        target,
        chunks,
        bool(flags & MOUNT_POINT),
        bool(flags & CATALOGUE_ROOT),
    )


def _key(first: int, second: int) -> bytes:
    return first.to_bytes(8, "little", signed=True) + second.to_bytes(
        8, "little", signed=True
    )
