"""Puts back what is not as it was in a tree, each in one step: running jobs go on."""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101, PTH102, PTH105, PTH108, PTH112, PTH114, PTH118, PTH208, PTH211

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from offload.cache.cvmfs.rows import Row
from offload.cache.reading.building import Rows, close
from offload.cache.reading.errors import ReadingError
from offload.cache.reading.placing import Placer
from offload.cache.reading.records import File, Folder, Link, Placed
from offload.cache.removal import remove_tree


def put_back(
    place: Path,
    entries: Sequence[Placed],
    wrong: Sequence[Placed],
    rows: Callable[[], Rows],
    placer: Placer,
) -> None:
    """Make entries again, below folders that are opened meanwhile.

    Args:
        place: the tree.
        entries: all that it must hold, folders before what is in them.
        wrong: those of them that are not as they should be.
        rows: what the repository has; asked for only if a file is not here any more.
        placer: puts files in place.

    Raises:
        ReadingError: the repository does not have it any more.
    """
    top = os.fsencode(place)
    folders = {entry.path: entry for entry in entries if isinstance(entry, Folder)}
    known = {entry.path for entry in entries}
    touched = {
        parent
        for entry in wrong
        for parent in (entry.path, entry.path.rpartition(b"/")[0])
        if parent in folders
    }
    for path in sorted(touched):
        _open(os.path.join(top, path) if path else top)
    for path in touched:
        _remove_strangers(os.path.join(top, path) if path else top, path, known)
    offered = cache(lambda: dict(rows()))
    for entry in wrong:
        if isinstance(entry, Folder):
            continue
        path = os.path.join(top, entry.path)
        draft = path + b".%b.draft" % secrets.token_hex(4).encode()
        if isinstance(entry, Link):
            os.symlink(entry.target, draft)
        elif not placer.link_again(entry.content, draft):
            _place(entry, offered().get(entry.path), draft, placer)
        if os.path.isdir(path) and not os.path.islink(path):
            remove_tree(Path(os.fsdecode(path)))
        os.replace(draft, path)
    for path in sorted(touched, reverse=True):
        close(os.path.join(top, path) if path else top, folders[path])


def _place(file: File, row: Row | None, path: bytes, placer: Placer) -> None:
    if row is None:
        raise ReadingError(f"{file.path!r}: the repository has it no more")
    if placer.link(row, path) != file.content:
        raise ReadingError(f"{file.path!r}: the repository has another one now")


def _open(path: bytes) -> None:
    """Make sure that there is a folder that can be written to."""
    if os.path.islink(path) or not os.path.isdir(path):
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.mkdir(path, 0o700)
    os.chmod(path, 0o700)


def _remove_strangers(path: bytes, relative: bytes, known: set[bytes]) -> None:
    for name in os.listdir(path):
        if (os.path.join(relative, name) if relative else name) not in known:
            found = os.path.join(path, name)
            if stat.S_ISDIR(os.lstat(found).st_mode):
                remove_tree(Path(os.fsdecode(found)))
            else:
                os.unlink(found)
