"""Writes file catalogues: the same rows give the same bytes, whenever and whoever."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing

from offload.cache.cvmfs.catalogue import (
    CATALOGUE_ROOT,
    CHUNKED,
    FILE,
    FOLDER,
    LINK,
    MOUNT_POINT,
    SCHEMA,
    Counters,
)
from offload.cache.cvmfs.names import numbers_of
from offload.cache.cvmfs.rows import Nested, Row
from offload.snapshot.tree import Kind

SCHEMA_REVISION = "6"
"""The last one before a column for nanoseconds, which clients would look for."""

# Keys are made after the rows are in, and of one half of a path's key: together with the
# row it is as good as both, and what cannot be compressed is half as long.
_TABLES = """
CREATE TABLE catalog (md5path_1 INTEGER, md5path_2 INTEGER, parent_1 INTEGER,
  parent_2 INTEGER, hardlinks INTEGER, hash BLOB, size INTEGER, mode INTEGER,
  mtime INTEGER, flags INTEGER, name TEXT, symlink TEXT, uid INTEGER, gid INTEGER,
  xattr BLOB);
CREATE TABLE chunks (md5path_1 INTEGER, md5path_2 INTEGER, offset INTEGER,
  size INTEGER, hash BLOB);
CREATE TABLE nested_catalogs (path TEXT, sha1 TEXT, size INTEGER);
CREATE TABLE bind_mountpoints (path TEXT, sha1 TEXT, size INTEGER);
CREATE TABLE properties (key TEXT, value TEXT);
CREATE TABLE statistics (counter TEXT, value INTEGER);
"""
_KEYS = """
CREATE INDEX idx_catalog_path ON catalog (md5path_1);
CREATE INDEX idx_catalog_parent ON catalog (parent_1);
CREATE INDEX idx_chunks_path ON chunks (md5path_1);
CREATE UNIQUE INDEX idx_nested_path ON nested_catalogs (path);
CREATE UNIQUE INDEX idx_properties_key ON properties (key);
CREATE UNIQUE INDEX idx_statistics_counter ON statistics (counter);
"""
# Names are bytes; a cast stores them as text as they are.
_INSERT = (
    "INSERT INTO catalog VALUES "
    "(?, ?, ?, ?, 1, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), 0, 0, NULL)"
)
_TYPES = {
    Kind.FOLDER: (stat.S_IFDIR, FOLDER),
    Kind.FILE: (stat.S_IFREG, FILE),
    Kind.LINK: (stat.S_IFLNK, FILE | LINK),
}


def write_catalogue(
    root: bytes,
    rows: Iterable[tuple[bytes, bytes, Row]],
    nested: Iterable[Nested],
    below: Counters,
    *,
    revision: int = 1,
    modified: int = 0,
    ttl_s: int | None = None,
) -> tuple[bytes, Counters]:
    """Return a catalogue's bytes, not compressed, and what there is in it alone.

    Args:
        root: the path of the folder that it describes; empty of the root catalogue.
        rows: key, key of the parent, and row of every entry, the folder's own too.
        nested: where other catalogues take over.
        below: what there is in all catalogues that are nested in this one.
        revision: of the repository, in a root catalogue. Others say 1, so that they
            depend on nothing but their content.
        modified: when the revision was made, in a root catalogue.
        ttl_s: in a root catalogue, for how long clients keep it.
    """
    # Neighbours in a folder are neighbours in the file: it compresses best.
    ordered = sorted(rows, key=lambda entry: (entry[1], entry[2].name))
    sorted_nested = sorted(nested)
    own = _count((row for _, _, row in ordered), len(sorted_nested))
    properties = {
        "revision": str(revision),
        "schema": SCHEMA,
        "schema_revision": SCHEMA_REVISION,
        "last_modified": str(modified),
    }
    if ttl_s is not None:
        properties["TTL"] = str(ttl_s)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA page_size = 4096; {_TABLES} BEGIN;")
        connection.executemany(_INSERT, map(_values, ordered))
        connection.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?)", _chunks(ordered)
        )
        connection.executemany(
            "INSERT INTO nested_catalogs VALUES (CAST(? AS TEXT), ?, ?)",
            ((path, name.hex, size) for path, name, size in sorted_nested),
        )
        insert = "INSERT INTO properties VALUES (?, CAST(? AS TEXT))"
        connection.executemany(insert, properties.items())
        if root:
            connection.execute(insert, ("root_prefix", root))
        connection.executemany(
            "INSERT INTO statistics VALUES (?, ?)",
            [
                *((f"self_{name}", n) for name, n in own._asdict().items()),
                *((f"subtree_{name}", n) for name, n in below._asdict().items()),
            ],
        )
        connection.executescript(_KEYS)  # ends the transaction first
        return connection.serialize(), own


def _values(entry: tuple[bytes, bytes, Row]) -> tuple[object, ...]:
    key, parent, row = entry
    type_bits, flags = _TYPES[row.kind]
    if row.chunks:
        flags |= CHUNKED
    if row.is_mount_point:
        flags |= MOUNT_POINT
    if row.is_catalogue_root:
        flags |= CATALOGUE_ROOT
    return (
        *numbers_of(key),
        *numbers_of(parent),
        row.digest,
        row.size,
        type_bits | row.mode,
        row.mtime,
        flags,
        row.name,
        row.target,
    )


def _chunks(
    ordered: Iterable[tuple[bytes, bytes, Row]],
) -> Iterator[tuple[int, int, int, int, bytes]]:
    for key, _, row in ordered:
        for chunk in row.chunks:
            yield (*numbers_of(key), *chunk)


def _count(rows: Iterable[Row], nested: int) -> Counters:
    regular = links = folders = chunked = chunks = size = chunked_size = 0
    for row in rows:
        if row.kind is Kind.FILE:
            regular += 1
            size += row.size
            if row.chunks:
                chunked += 1
                chunks += len(row.chunks)
                chunked_size += row.size
        elif row.kind is Kind.LINK:
            links += 1
        elif not row.is_catalogue_root:  # it counts where it is a mount point
            folders += 1
    return Counters(
        regular,
        links,
        dir=folders,
        nested=nested,
        chunked=chunked,
        chunks=chunks,
        file_size=size,
        chunked_size=chunked_size,
    )
