"""Remembers which files held secrets, so that only changed ones are looked at again."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from offload.snapshot.secrets_finding import Finding
from offload.snapshot.secrets_rules import VERSION

_SETTLED_NS = 2 * 10**9
"""What changed so lately is not remembered: a clock may tick too coarsely to show a
second change."""


class FindingCache:
    """Findings by folder, path and status (inode, size, times) of each file.

    A cache that cannot be read or written, or is in use for long, is done without.

    Args:
        path: the file, SQLite; None remembers nothing.
        root: folder that paths are relative to.
    """

    def __init__(self, path: Path | None, root: Path) -> None:
        self._path = path
        self._root = os.fsencode(root)
        self._known: dict[bytes, tuple[str, str]] = {}
        self._new: dict[bytes, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        if self._path is not None and self._path.exists():
            try:
                with _open(self._path) as database:
                    rows = database.execute(
                        "SELECT path, status, findings FROM findings WHERE root = ?",
                        [self._root],
                    )
                    self._known = {path: (key, text) for path, key, text in rows}
            except sqlite3.Error:
                self._known = {}
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None and self._new:
            with suppress(sqlite3.Error, OSError):
                self._save(self._path)

    def get(self, path: bytes, status: os.stat_result) -> list[Finding] | None:
        """Return what was found in the file as it is; None if nobody looked."""
        key, text = self._known.get(path, ("", ""))
        if key != _key(status):
            return None
        return [Finding(path, *each) for each in json.loads(text)]

    def put(self, path: bytes, status: os.stat_result, findings: list[Finding]) -> None:
        """Remember what was found."""
        newest_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        if newest_ns < time.time_ns() - _SETTLED_NS:
            rows = [[f.kind, f.line, f.cell, f.is_output] for f in findings]
            self._new[path] = (_key(status), json.dumps(rows))

    def _save(self, path: Path) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with _open(path) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS findings (root BLOB, path BLOB, status TEXT,"
                " findings TEXT, PRIMARY KEY (root, path)) WITHOUT ROWID"
            )
            database.executemany(
                "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)",
                ((self._root, name, *row) for name, row in self._new.items()),
            )


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, timeout=5)
    try:
        with database:  # commits
            yield database
    finally:
        database.close()


def _key(status: os.stat_result) -> str:
    return (
        f"{VERSION} {status.st_dev} {status.st_ino} {status.st_size} "
        f"{status.st_mtime_ns} {status.st_ctime_ns}"
    )
