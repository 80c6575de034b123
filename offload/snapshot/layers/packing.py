"""Decides which layers a part of a snapshot is made of. No I/O.

A part that is cut into groups (an environment: one per distribution) has a layer for
each; one that did not change is the same layer as before. Any other part is first cut in
the order of its paths, and then a chain: what is new or changed since the last snapshot
of the same folder, and what was deleted, is one more layer on top. When too much in a
chain is dead, or it is too long, the part is cut again.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from offload.snapshot.cuts import Group
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.survey import Found
from offload.snapshot.tree import Entry, Kind, Tree

PACK_SIZE = 64 << 20
"""Bytes of files that make a layer worth its request."""
_ENOUGH_DEAD = 16 << 20
"""Bytes; below, nothing is cut again for them."""


@dataclass(frozen=True, slots=True)
class Pack:
    """What becomes one layer."""

    role: str
    root: bytes
    """Folder that the paths are relative to."""
    found: tuple[Found, ...]
    below: Mapping[bytes, Entry] = field(default_factory=dict)
    """What lower layers have: not packed again if it is found to be the same."""
    removed: tuple[bytes, ...] = ()
    """Paths of lower layers that are gone."""
    is_inspected: bool = True
    """Whether secrets are looked for; not in what an installer put there."""
    published: Mapping[bytes, str] = field(default_factory=dict)
    """See :class:`Group`; none if it is private."""

    @property
    def files(self) -> int:
        return sum(found.kind is Kind.FILE for found in self.found)

    @property
    def size(self) -> int:
        return sum(found.size for found in self.found)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a part comes to its layers."""

    kept: tuple[Entry, ...]
    """What the layers that are kept hold already."""
    keeps_layers: bool
    """Whether the layers of the last snapshot stay below."""
    packs: tuple[Pack, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """A part as it was frozen last."""

    tree: Tree
    layers: int
    packed: int
    """Bytes of files in its layers, also of those that later layers hide."""
    seen: Mapping[bytes, Fingerprint] = field(default_factory=dict)
    """By path, what its files were like, as far as that is to be trusted."""

    def known(self) -> dict[Fingerprint, str]:
        """Return contents by what files were like."""
        entries = self.tree.by_path
        return {
            seen: entries[path].sha256
            for path, seen in self.seen.items()
            if path in entries and entries[path].kind is Kind.FILE
        }


def plan_chain(
    role: str,
    root: bytes,
    found: Sequence[Found],
    known: Mapping[Fingerprint, str],
    chain: Chain | None,
    *,
    max_layers: int,
) -> Plan:
    """Plan a part that is not cut into groups.

    Args:
        role: of the part.
        root: folder that the paths are relative to.
        found: what is there, sorted by path.
        known: contents of files that need not be read, and are not as they were then.
        chain: as the part was last time.
        max_layers: how many layers it may have.
    """

    def cut_again() -> Plan:
        return Plan((), False, tuple(_cut(role, root, found, max_layers // 2)))

    if chain is None:
        return cut_again()
    below = chain.tree.by_path
    kept: list[Entry] = []
    changed: list[Found] = []
    for one in found:
        before = below.get(one.path)
        if before is None:
            changed.append(one)
        elif (
            one.kind is before.kind is Kind.FILE
            and (chain.seen.get(one.path) == one.fingerprint)
        ) or is_known_as(before, one, known):
            kept.append(before)
        else:
            changed.append(one)
    removed = removals(chain.tree, {one.path: one.kind for one in found})
    added = sum(one.size for one in changed)
    living = added + sum(entry.size for entry in kept)
    dead = chain.packed + added - living
    if chain.layers + 2 > max_layers or dead > max(living, _ENOUGH_DEAD):
        return cut_again()
    if not changed and not removed:
        return Plan(tuple(kept), True, ())
    room = (max_layers - chain.layers) // 4
    packs = [replace(pack, below=below) for pack in _cut(role, root, changed, room)]
    packs[0] = replace(packs[0], removed=tuple(removed))
    return Plan(tuple(kept), True, tuple(packs))


def plan_groups(
    role: str,
    root: bytes,
    found: Sequence[Found],
    groups: Iterable[Group],
) -> Plan:
    """Plan a part with a layer for each group; folders go along with what is in them."""
    by_path = {one.path: one for one in found}
    packs = []
    for group in groups:
        paths: set[bytes] = set()
        for path in group.paths:
            while path and path not in paths:
                paths.add(path)
                path = path.rpartition(b"/")[0]  # noqa: PLW2901  up to the root
        members = tuple(by_path[path] for path in sorted(paths & by_path.keys()))
        if members:
            packs.append(
                Pack(
                    role,
                    root,
                    members,
                    is_inspected=not group.is_recorded,
                    published=group.published,
                )
            )
    return Plan((), False, tuple(packs))


def known_entry(one: Found, known: Mapping[Fingerprint, str]) -> Entry | None:
    """Return the manifest's entry if it can be told without reading a file."""
    if one.kind is not Kind.FILE:
        return one.entry()
    sha256 = known.get(one.fingerprint)
    return None if sha256 is None else one.entry(sha256)


def is_known_as(entry: Entry, one: Found, known: Mapping[Fingerprint, str]) -> bool:
    """Whether a path is what the entry says, told without reading a file."""
    _, kind, fingerprint, _ = one
    if kind is not Kind.FILE or entry.kind is not Kind.FILE:
        return one.entry() == entry
    # The content says the size.
    return entry.mode == fingerprint.mode and entry.sha256 == known.get(fingerprint)


def removals(below: Tree, now: Mapping[bytes, Kind]) -> list[bytes]:
    """Return what must be marked as deleted on top of a tree.

    Not what lies below something else that is deleted, or below what is no folder any
    more: it goes with that.
    """
    removed = []
    for path in sorted(below.by_path.keys() - now.keys()):
        folder = path.rpartition(b"/")[0]
        if not folder or now.get(folder) is Kind.FOLDER:
            removed.append(path)
    return removed


def content_key(
    role: str, entries: Iterable[Entry], removed: Iterable[bytes] = ()
) -> str:
    """Return the name of a layer's content: the same content makes the same layer."""
    sha = hashlib.sha256(f"{role}\0".encode())
    sha.update(Tree.of(entries).canonical)
    for path in removed:
        sha.update(b"- %b\0" % path)
    return sha.hexdigest()


def _cut(
    role: str, root: bytes, found: Sequence[Found], max_layers: int
) -> Iterator[Pack]:
    """Cut in the order of paths; at least one layer.

    A pack may end after a path whose checksum says so, and does not end elsewhere
    unless it is twice as large as it should be: after a change somewhere, later
    packs begin and end where they did, and are the layers they were.
    """
    size = PACK_SIZE
    sizes = [one.size for one in found]
    total = sum(sizes)
    while total // (size // 2) + 1 > max(1, max_layers):
        size *= 2
    pack: list[Found] = []
    packed = 0
    for one, its_size in zip(found, sizes, strict=True):
        pack.append(one)
        packed += its_size
        may_end = zlib.crc32(one.path) * size < (its_size << 32) * 2
        if packed >= size * 2 or (packed >= size // 2 and may_end):
            yield Pack(role, root, tuple(pack))
            pack, packed = [], 0
    if pack or not found:
        yield Pack(role, root, tuple(pack))
