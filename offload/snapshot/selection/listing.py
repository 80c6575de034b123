"""Lists the files of a tree that is taken whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from offload.snapshot.errors import SnapshotError
from offload.snapshot.selection.ignoring import NEVER


def list_tree(
    root: Path, *, is_skipped: Callable[[bytes], bool] | None = None
) -> Iterator[bytes]:
    """Yield what is below a folder: files, links, folders without anything in them.

    Paths are relative. Bytecode caches and the like are left out: they tell the time
    at which they were made, so that no two installations would be equal. Sockets,
    pipes and devices are left out.

    Args:
        root: the folder; links below it are not followed.
        is_skipped: tells of a folder whether what is in it is left out; the folder
            itself stays, empty.

    Raises:
        SnapshotError: a folder cannot be listed.
    """
    base = os.fsencode(root)
    pending = [b""]
    while pending:
        folder = pending.pop()
        start = folder + b"/" if folder else b""
        is_empty = True
        for entry in _entries(base + b"/" + folder, folder, is_skipped):
            if entry.name in NEVER:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(start + entry.name)
                is_empty = False
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield start + entry.name
                is_empty = False
        if is_empty and folder:
            yield folder


def _entries(
    path: bytes, folder: bytes, is_skipped: Callable[[bytes], bool] | None
) -> list[os.DirEntry[bytes]]:
    if folder and is_skipped is not None and is_skipped(folder):
        return []
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError:  # removed meanwhile
        return []
    except OSError as error:
        raise SnapshotError(
            f"{os.fsdecode(path)}: cannot be listed: {error.strerror}"
        ) from None
