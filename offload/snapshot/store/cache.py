"""What would only take time to find out again, in an SQLite file beside the blobs.

Contents of files by their fingerprint, layers by what is in them, and the last image of each
folder. It may be deleted at any time; a damaged one is begun anew.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from offload.snapshot.errors import NoSpaceError, SnapshotError
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.model import Layer
from offload.snapshot.secrets import rules
from offload.snapshot.secrets.finding import Finding
from offload.snapshot.secrets.inspection import Suspect
from offload.snapshot.store.space import room
from offload.snapshot.tree import Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    file BLOB PRIMARY KEY, stamp BLOB, sha256 BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layers (
    content TEXT PRIMARY KEY, digest TEXT, size INTEGER, diff_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suspects (
    path BLOB, sha256 TEXT, findings TEXT, PRIMARY KEY (path, sha256)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (
    folder BLOB PRIMARY KEY, image TEXT, seen BLOB
) WITHOUT ROWID;
"""
_FORGET = """
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS layers;
DROP TABLE IF EXISTS suspects;
DROP TABLE IF EXISTS latest;
"""
# What is known to be in layers was inspected by the rules of its time.
_VERSION = 2000 + rules.VERSION
_BUSY_TIMEOUT_S = 30
_AT_ONCE = 900
"""Parameters of one query; SQLite's default limit was 999 for long."""

_SEEN = struct.Struct("=QQqqqH")
"""A fingerprint."""
_UNKNOWN = Fingerprint(0, 0, 0, 0, 0, 0)
"""Of nothing that is there: no file has inode 0."""

_pack_file = struct.Struct("=QQ").pack
_pack_stamp = struct.Struct("=qqq").pack


def _pack_seen(entries: Sequence[Entry], seen: Mapping[bytes, Fingerprint]) -> bytes:
    if not seen:
        return b""
    return b"".join([_SEEN.pack(*seen.get(entry.path, _UNKNOWN)) for entry in entries])


def _file(seen: Fingerprint) -> bytes:
    return _pack_file(seen.device, seen.inode)


def _stamp(seen: Fingerprint) -> bytes:
    return _pack_stamp(seen.size, seen.mtime_ns, seen.ctime_ns)


def _words(suspect: Suspect) -> str:
    return json.dumps(
        [(each.kind, each.line, each.cell, each.is_output) for each in suspect.findings]
    )


class Cache:
    """Opened for one freeze, used by one thread; several processes may have it open.

    Raises:
        NoSpaceError: the disk is full.
        SnapshotError: another process keeps it locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with room(path.parent):
            path.touch(mode=0o600)
        with self._in_words():
            try:
                self._database = self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                path.unlink()
                self._database = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def contents(self, seen: Iterable[Fingerprint]) -> dict[Fingerprint, str]:
        """Return the SHA-256, in hex, of those files whose content is known."""
        wanted = {_file(fingerprint): fingerprint for fingerprint in seen}
        files = list(wanted)
        known: dict[Fingerprint, str] = {}
        with self._in_words():
            for start in range(0, len(files), _AT_ONCE):
                some = files[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                for file, stamp, sha256 in self._database.execute(
                    f"SELECT file, stamp, sha256 FROM files WHERE file IN ({marks})",  # noqa: S608
                    some,
                ):
                    fingerprint = wanted[file]
                    if stamp == _stamp(fingerprint):
                        known[fingerprint] = sha256.hex()
        return known

    def layer(self, content: str) -> Layer | None:
        """Return the layer that was made of that content."""
        with self._in_words():
            row = self._database.execute(
                "SELECT digest, size, diff_id FROM layers WHERE content = ?", (content,)
            ).fetchone()
        return None if row is None else Layer(*row)

    def latest(self, folder: bytes) -> tuple[str | None, Iterable[Fingerprint]]:
        """Return the image that a folder was last frozen into, and what it was like.

        One fingerprint for each entry of its manifest; of none that is there where
        nothing is known.
        """
        with self._in_words():
            row = self._database.execute(
                "SELECT image, seen FROM latest WHERE folder = ?", (folder,)
            ).fetchone()
        if row is None:
            return None, ()
        image, seen = row
        whole = memoryview(seen)[: len(seen) // _SEEN.size * _SEEN.size]
        return str(image), map(Fingerprint._make, _SEEN.iter_unpack(whole))

    def suspects(self) -> list[Suspect]:
        """Return all contents that were found to hold what looks like a secret."""
        with self._in_words():
            rows = self._database.execute("SELECT path, sha256, findings FROM suspects")
            return [
                Suspect(
                    path,
                    sha256,
                    tuple(Finding(path, *each) for each in json.loads(findings)),
                )
                for path, sha256, findings in rows
            ]

    def remember(
        self,
        contents: Iterable[tuple[Fingerprint, str]] = (),
        layers: Iterable[tuple[str, Layer]] = (),
        suspects: Iterable[Suspect] = (),
        latest: Iterable[
            tuple[bytes, str, Sequence[Entry], Mapping[bytes, Fingerprint]]
        ] = (),
    ) -> None:
        """Take in, all or nothing: contents of files, layers, suspects, last images."""
        with self._in_words():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(
                    "REPLACE INTO files VALUES (?, ?, ?)",
                    (
                        (_file(seen), _stamp(seen), bytes.fromhex(sha256))
                        for seen, sha256 in contents
                    ),
                )
                self._database.executemany(
                    "REPLACE INTO layers VALUES (?, ?, ?, ?)",
                    (
                        (content, layer.digest, layer.size, layer.diff_id)
                        for content, layer in layers
                    ),
                )
                self._database.executemany(
                    "REPLACE INTO suspects VALUES (?, ?, ?)",
                    ((each.path, each.sha256, _words(each)) for each in suspects),
                )
                self._database.executemany(
                    "REPLACE INTO latest VALUES (?, ?, ?)",
                    (
                        (folder, image, _pack_seen(entries, seen))
                        for folder, image, entries, seen in latest
                    ),
                )
                self._database.execute("COMMIT")
            except BaseException:
                # After some errors, such as a full disk, SQLite has done so itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None
        )
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                database.executescript(_FORGET)
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version={_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise NoSpaceError(
                    f"{self._path}: no space: make room there, or use another place"
                ) from None
            raise SnapshotError(
                f"{self._path}: {error}; it only saves time and may be deleted"
            ) from None
