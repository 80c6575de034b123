"""Reads what is there now, without storing it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from offload.snapshot.comparison import Difference, difference
from offload.snapshot.errors import MissingError
from offload.snapshot.files.capture import capture, hash_file
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.survey import everything, survey
from offload.snapshot.images.manifests import manifest
from offload.snapshot.layers.packing import known_entry
from offload.snapshot.model import CODE, ENVIRONMENT, Request, Snapshot
from offload.snapshot.sources import find_sources
from offload.snapshot.store.cache import Cache
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind, Tree


def scan(
    root: Path, paths: Iterable[bytes] | None = None, *, cache: Cache | None = None
) -> Tree:
    """Read a folder into a tree; each file is one state that did exist.

    Args:
        root: the folder.
        paths: what of it, relative; everything by default.
        cache: knows the contents of files that need not be read; learns the others.

    Raises:
        UnreadableError: a file may not be read.
        ChangingError: a file changed each time it was read.
    """
    folder = os.fsencode(root)
    seen = survey(folder, everything(folder) if paths is None else paths)
    known: dict[Fingerprint, str] = {}
    if cache is not None:
        known = cache.contents(o.fingerprint for o in seen.found if o.kind is Kind.FILE)
    entries: list[Entry] = []
    learnt: list[tuple[Fingerprint, str]] = []
    for one in seen.found:
        entry = known_entry(one, known)
        if entry is None:
            read = partial(hash_file, one.path)
            entry, fingerprint = capture(folder, one, read)
            if entry is not None and fingerprint is not None:
                learnt.append((fingerprint, entry.sha256))
        if entry is not None:
            entries.append(entry)
    if cache is not None:
        cache.remember(contents=learnt)
    return Tree.of(entries)


def changes_since(
    snapshot: Snapshot, store: LocalStore, role: str = CODE
) -> Difference:
    """Compare a part as it was frozen with what is there now.

    Raises:
        MissingError: the snapshot has no such part, or the store lacks it.
        SnapshotError: what is there now cannot be read.
    """
    before = manifest(snapshot, store, role)
    mounts = {part.role: Path(part.mount) for part in snapshot.parts}
    request = Request(
        root=mounts[CODE],
        prefix=mounts.get(ENVIRONMENT),
        inputs=tuple(path for r, path in mounts.items() if r.startswith("inputs/")),
    )
    sources = {source.role: source for source in find_sources(request).parts}
    if role not in sources:
        raise MissingError(f"{mounts[role]}: expected {role} there, got nothing")
    source = sources[role]
    with Cache(store.cache_path) as cache:
        now = scan(Path(os.fsdecode(source.root)), source.paths, cache=cache)
    return difference(before, now)
