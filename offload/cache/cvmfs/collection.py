"""Removes objects that no kept revision names, once nobody can be reading them.

Marked from the roots of all kept revisions; what is not marked is noted with the time
when that was first seen, and removed when it has been so for the whole grace period: for
so long a site may still look at an older revision. A kill at any point does no harm: what
was noted stays noted, what was removed is gone, the next collection goes on.

Who publishes waits for little of it: marking goes on beside him, and what he has
published meanwhile is marked before anything is removed, some at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.history import Tag
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.publication import Publication
from offload.cache.cvmfs.storage import Storage

_AT_ONCE = 2000
"""Objects that are removed while nobody can publish: a part of a second."""
_PAUSE_S = 0.1
"""For so long others may begin to; they look every 0.05 s."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do."""

    forgotten: tuple[str, ...]
    """Revisions that cannot be turned back to any more."""
    removed: int
    """Objects."""
    freed: int
    """Bytes."""
    waiting: int
    """Objects that nothing names any more, whose grace period is not over."""


def choose_forgotten(tags: Iterable[Tag], keep: int) -> tuple[Tag, ...]:
    """Return the tags to give up: automatic ones, but for the newest revisions. Pure.

    Args:
        tags: all that there are.
        keep: revisions that are kept, the published one among them; at least 1.
    """
    automatic = sorted(
        (tag for tag in tags if tag.is_automatic), key=lambda tag: tag.revision
    )
    return tuple(automatic[: -max(keep, 1)])


def mark(
    storage: Storage, roots: Iterable[ObjectName], used: set[ObjectName] | None = None
) -> set[ObjectName]:
    """Return all objects that these root catalogues lead to, themselves included.

    Args:
        storage: with the catalogues.
        roots: of revisions.
        used: what this returned for others; added to, and not looked at again.

    Raises:
        RepositoryError: a catalogue is missing or damaged: then nothing is known, and
            nothing may be removed.
    """
    used = set() if used is None else used
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used.add(name)
        catalogue = storage.catalogue(name)
        for found in catalogue.objects():
            if found.suffix is Suffix.CATALOGUE:
                waiting.append(found)
            else:
                used.add(found)
        catalogue.close()
    return used


@dataclass(slots=True)
class Collection:
    """One collection; nobody else may collect at the same time."""

    storage: Storage
    publication: Publication
    contents: Contents
    keep: int
    """See :func:`choose_forgotten`."""
    alone: Callable[[], AbstractContextManager[None]]
    """Keeps others from publishing."""
    dry_run: bool
    """Whether nothing is changed, and the numbers are those that there would be."""
    _used: set[ObjectName] = field(default_factory=set)
    _forgotten: dict[str, None] = field(default_factory=dict)

    def run(self, now: datetime, grace: timedelta) -> Collected:
        """Remove what nothing uses and has not for the grace period.

        Raises:
            RepositoryError: a kept revision is damaged; nothing is removed.
            RepositoryBusyError: somebody publishes for too long.
        """
        self._mark()
        unused = [name for name in self.storage.names() if name not in self._used]
        with self._caught_up():
            seen = self.contents.unused()
            # Not later than now: the clock may have been set back.
            since = {
                x: min(seen.get(str(x), now), now)
                for x in unused
                if x not in self._used
            }
            due = [name for name, then in since.items() if now - then >= grace]
            if not self.dry_run:
                self.storage.clear_drafts()
                self.contents.set_unused({str(x): then for x, then in since.items()})
        waiting = len(since) - len(due)
        if self.dry_run:
            freed = sum(map(self.storage.size, due))
            return Collected(tuple(self._forgotten), len(due), freed, waiting)
        removed = freed = 0
        for start in range(0, len(due), _AT_ONCE):
            time.sleep(_PAUSE_S)
            with self._caught_up():
                some = [x for x in due[start : start + _AT_ONCE] if x not in self._used]
                # First what is known of them, then themselves: see the index.
                self.contents.forget(some)
                self.storage.announce_removal()
                freed += sum(map(self.storage.remove, some))
                removed += len(some)
        with self._caught_up():
            gone = set(due)
            self.contents.set_unused(
                {str(x): then for x, then in since.items() if x not in gone}
            )
        return Collected(tuple(self._forgotten), removed, freed, waiting)

    def _mark(self) -> tuple[list[Tag], tuple[Tag, ...]]:
        """Mark what the revisions that stay lead to; return those, and the others."""
        tags = self.publication.tags()
        gone = choose_forgotten(tags, self.keep)
        kept = [tag for tag in tags if tag not in gone]
        mark(self.storage, {tag.catalogue for tag in kept}, self._used)
        return kept, gone

    @contextmanager
    def _caught_up(self) -> Iterator[None]:
        """Keep others from publishing; all that they have is marked."""
        with self.alone():
            # Before anything is forgotten: what cannot be read is not given up.
            kept, gone = self._mark()
            if gone and not self.dry_run:
                self.publication.keep(kept)
            self._forgotten.update(dict.fromkeys(tag.name for tag in gone))
            head = self.publication.head()
            self._used.update({head.certificate, head.history})
            yield
