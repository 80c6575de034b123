"""A folder of the repository made anew on disk: folders, links, then files in threads."""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101, PTH102, PTH118, PTH211

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from offload.cache.cvmfs.rows import Row
from offload.cache.reading.records import File, Folder, Link, Placed
from offload.cache.reading.store import Content
from offload.snapshot.tree import Kind

Rows = Iterable[tuple[bytes, Row]]
"""Relative paths with what lies there, the tree's own folder first, as the empty path."""

_LISTED = 0o500
"""What its owner may not list could be neither checked nor removed."""


def build(
    draft: Path, rows: Rows, put: Callable[[Row, bytes], Content], threads: int
) -> list[Placed]:
    """Make a folder; return what is in it, in the order of the rows.

    Files, links and times are as the rows say, and modes too, but that folders can
    always be listed by their owner.

    Args:
        draft: must not exist.
        rows: what shall be in it.
        put: makes a path a file; called in threads.
        threads: how many.
    """
    top = os.fsencode(draft)
    entries: list[Placed] = []
    files: list[tuple[int, bytes, Row]] = []
    for relative, row in rows:
        path = os.path.join(top, relative) if relative else top
        match row.kind:
            case Kind.FOLDER:
                os.mkdir(path, 0o700)
                entries.append(Folder(relative, row.mode & 0o777 | _LISTED, row.mtime))
            case Kind.LINK:
                os.symlink(row.target, path)
                entries.append(Link(relative, row.target))
            case Kind.FILE:
                entries.append(Link(relative, b""))  # replaced below
                files.append((len(entries) - 1, path, row))
    with ThreadPoolExecutor(threads, "fetch") as pool:
        try:
            futures = [pool.submit(put, row, path) for _, path, row in files]
            for (index, _, row), future in zip(files, futures, strict=True):
                relative = entries[index].path
                entries[index] = File(relative, future.result(), row.size)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    # Last, and the inner ones first: what is put into a folder changes its time.
    for entry in reversed(entries):
        if isinstance(entry, Folder):
            close(os.path.join(top, entry.path) if entry.path else top, entry)
    return entries


def close(path: bytes, folder: Folder) -> None:
    """Give a folder that was filled its mode and time."""
    os.chmod(path, folder.mode)
    os.utime(path, (folder.mtime, folder.mtime))
