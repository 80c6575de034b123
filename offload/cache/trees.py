"""Trees: one folder per part of a snapshot, hard-linked from the layers that hold it."""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101, PTH102, PTH112, PTH118, PTH211

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from offload.cache.errors import DamagedTreeError
from offload.cache.linking import link_file
from offload.cache.locking import alone_for
from offload.cache.receiving import room
from offload.cache.removal import remove_tree
from offload.snapshot import Entry, Kind

_NONE: Mapping[bytes, bytes] = MappingProxyType({})


def ensure_tree(
    place: Path,
    entries: Iterable[Entry],
    folders: Sequence[Path],
    links: Mapping[bytes, bytes] = _NONE,
) -> None:
    """Make a part's tree exactly as its manifest lists it, if nobody has.

    The manifest decides, not the layers: what a later layer deletes is not listed.
    Killed, it leaves a draft that is never taken for a tree.

    Args:
        place: where the tree is then.
        entries: the part's manifest, sorted by path.
        folders: the part's in each unpacked layer, the lowest first: of two that have
            a path, the later counts.
        links: more files, below those of the folders: relative paths with what symbolic
            links in their place lead to. Nothing of them is read.

    Raises:
        DamagedTreeError: a listed file is in no layer, or of another size, or what is
            above it is no folder.
        NoSpaceError: the disk is full; nothing is left.
    """
    if place.exists():
        return
    with room(place.parent), alone_for(place):
        if not place.exists():
            _make(place, entries, folders, links)


def _make(
    place: Path,
    entries: Iterable[Entry],
    folders: Sequence[Path],
    links: Mapping[bytes, bytes],
) -> None:
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.draft")
    try:
        draft.mkdir()
        _build(os.fsencode(draft), entries, folders, links)
        try:
            draft.rename(place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
    finally:
        with suppress(FileNotFoundError):
            remove_tree(draft)


def _build(
    target: bytes,
    entries: Iterable[Entry],
    folders: Sequence[Path],
    links: Mapping[bytes, bytes],
) -> None:
    sources = files_in(folders)
    modes: list[tuple[bytes, int]] = []
    made = {b""}
    for entry in entries:
        # Never through a link, which could lead to any place of this machine.
        if entry.path.rpartition(b"/")[0] not in made:
            raise DamagedTreeError(
                f"{os.fsdecode(entry.path)!r}: the manifest lists no folder for it"
            )
        path = os.path.join(target, entry.path) if entry.path else target
        match entry.kind:
            case Kind.FOLDER:
                with suppress(FileExistsError):
                    os.mkdir(path, 0o700)
                made.add(entry.path)
                modes.append((path, entry.mode))
            case Kind.LINK:
                os.symlink(entry.target, path)
            case Kind.FILE:
                _place(sources.get(entry.path), links.get(entry.path), entry, path)
    # Last, and the inner ones first: a folder may be one that nobody can write to.
    for path, mode in reversed(modes):
        os.chmod(path, mode)


def files_in(folders: Iterable[Path]) -> dict[bytes, bytes]:
    """Return relative paths of files with where they lie; the last folder's count."""
    sources: dict[bytes, bytes] = {}
    for folder in folders:
        top = os.fsencode(folder)
        if os.path.isdir(top):
            _index(top, b"", sources)
    return sources


def _index(folder: bytes, prefix: bytes, sources: dict[bytes, bytes]) -> None:
    with os.scandir(folder) as found:
        for entry in found:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                _index(entry.path, name + b"/", sources)
            elif entry.is_file(follow_symlinks=False):
                sources[name] = entry.path


def _place(source: bytes | None, link: bytes | None, entry: Entry, path: bytes) -> None:
    if source is None and link is not None:
        os.symlink(link, path)
        return
    if source is None:
        raise DamagedTreeError(
            f"{os.fsdecode(entry.path)!r}: the manifest lists it, no layer has it"
        )
    found = os.lstat(source)
    if found.st_size != entry.size:
        raise DamagedTreeError(
            f"{os.fsdecode(entry.path)!r}: expected {entry.size:,} bytes, "
            f"got {found.st_size:,}"
        )
    link_file(source, path, entry.mode, found)
