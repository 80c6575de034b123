"""What the cache gives up, and when: what no job has pinned, longest unused first."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from offload.cache.reading.store import Content, Store
from offload.cache.reading.trees import Trees
from offload.cache.removal import remove_tree

YOUNG_S = 3600.0
"""What is being made, and what nothing names, is left alone for so long."""


@dataclass(frozen=True, slots=True)
class KeptTree:
    """A tree, and the contents that it holds on to."""

    name: str
    used: float
    """Unix time."""
    contents: frozenset[Content]
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object that somebody read."""

    name: str
    used: float
    content: Content
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Victims:
    """What is to be given up."""

    trees: tuple[str, ...]
    contents: frozenset[Content]
    freed: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection did."""

    trees: tuple[str, ...]
    contents: int
    freed: int
    """Bytes."""
    size: int
    """Bytes that all contents take now."""
    lacking: int
    """Bytes that could not be freed, all else being in use; 0 mostly."""


def choose_victims(
    trees: Sequence[KeptTree],
    objects: Sequence[KeptObject],
    sizes: Mapping[Content, int],
    excess: int,
) -> Victims:
    """Return what to give up so that ``excess`` bytes become free; the oldest first.

    Pure. A content goes only once no kept tree and no pinned object has it; giving up
    a tree gives up what nobody but it had.
    """
    holders = Counter(content for tree in trees for content in tree.contents)
    holders.update(o.content for o in objects if o.is_pinned)
    given_up: list[str] = []
    contents: set[Content] = set()
    freed = 0
    candidates: list[KeptTree | KeptObject] = [*trees, *objects]
    for one in sorted(candidates, key=lambda c: (c.used, c.name)):
        if freed >= excess:
            break
        if one.is_pinned:
            continue
        if isinstance(one, KeptTree):
            given_up.append(one.name)
            holders.subtract(one.contents)
            loose: Iterable[Content] = one.contents
        else:
            loose = (one.content,)
        for content in loose:
            if holders[content] <= 0 and content not in contents:
                contents.add(content)
                freed += sizes.get(content, 0)
    return Victims(tuple(given_up), frozenset(contents), freed)


class Collector:
    """Gives things up. One at a time: the caller holds a lock."""

    def __init__(self, folder: Path, store: Store, kinds: Mapping[str, Trees]) -> None:
        self._folder = folder
        self._store = store
        self._kinds = kinds

    def collect(
        self,
        quota_bytes: int | None,
        pinned: frozenset[str],
        pinned_objects: frozenset[str],
        *,
        wanted: int = 0,
        is_full: bool = False,
    ) -> Freed:
        """Free what is above the quota, or what the disk lacks for ``wanted`` bytes.

        For what would not fit all the same, nothing is given up.

        Args:
            quota_bytes: what all contents may take.
            pinned: trees that jobs need, ``KIND/NAME``.
            pinned_objects: names of objects that jobs need.
            wanted: bytes that are to fit beside what is here.
            is_full: so many bytes more must go whatever the disk says of itself: it
                may lack something else than bytes, or be bounded for this user.
        """
        found = self._store.kept()
        sizes = {content: kept.size for content, kept in found.items()}
        objects = [
            KeptObject(name, found[content].used, content, name in pinned_objects)
            for name, content in self._store.objects()
            if content in found
        ]
        trees: list[KeptTree] = []
        links: Counter[Content] = Counter()
        for kind, made in self._kinds.items():
            for name in made.names():
                contents = made.contents(name)
                links.update(contents)
                path = f"{kind}/{name}"
                kept = frozenset(contents)
                trees.append(KeptTree(path, made.used(name), kept, path in pinned))
        held = frozenset[Content]().union(*(tree.contents for tree in trees))
        named = {one.content for one in objects} | held
        loose = {
            content
            for content, kept in found.items()
            if content not in named and time.time() - kept.changed > YOUNG_S
        }
        size = sum(sizes.values())
        # What lies somewhere else too is not freed by giving it up here.
        sizes |= {c: 0 for c, kept in found.items() if kept.links > 1 + links[c]}
        above = 0 if quota_bytes is None else size - quota_bytes
        lack = wanted - (0 if is_full else shutil.disk_usage(self._folder).free)
        excess = max(lack, above + (0 if quota_bytes is None else wanted))
        freed = sum(sizes[content] for content in loose)
        victims = choose_victims(trees, objects, sizes, excess - freed)
        if wanted and victims.freed < excess - freed:
            victims = choose_victims(trees, objects, sizes, above - freed)
        freed += victims.freed
        for path in victims.trees:
            kind, _, name = path.partition("/")
            self._kinds[kind].discard(name)
        gone = victims.contents | loose
        for content in gone:
            self._store.drop(content)
        self._store.keep(one.name for one in objects if one.content not in gone)
        self._drop_abandoned()
        return Freed(
            victims.trees, len(gone), freed, size - freed, max(0, excess - freed)
        )

    def empty_trash(self) -> None:
        """Delete what was given up; needs no lock."""
        for path in (self._folder / "trash").glob("*"):
            with suppress(FileNotFoundError):
                remove_tree(path)

    def _drop_abandoned(self) -> None:
        """Remove what killed processes have left; what all of them write is hidden."""
        for made in self._kinds.values():
            made.drop_halves(_is_old)
        hidden = (
            self._folder / name for name in ("objects", "pins", "signed", "traces")
        )
        drafts = (path for folder in hidden for path in folder.glob(".*"))
        for path in [*drafts, *self._store.drafts()]:
            if _is_old(path):
                path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_ctime > YOUNG_S
    except FileNotFoundError:
        return False
