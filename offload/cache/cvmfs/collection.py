"""Removes objects that no kept revision names, once nobody can be reading them.

Marked from the roots of all kept revisions; what is not marked is noted with the time
when that was first seen, and removed when it has been so for the whole grace period: for
so long a site may still look at an older revision. A kill at any point does no harm: what
was noted stays noted, what was removed is gone, the next collection goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.history import Tag
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.storage import Storage


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


def mark(storage: Storage, roots: Iterable[ObjectName]) -> set[ObjectName]:
    """Return all objects that these root catalogues lead to, themselves included.

    Raises:
        RepositoryError: a catalogue is missing or damaged: then nothing is known, and
            nothing may be removed.
    """
    used: set[ObjectName] = set()
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


def sweep(
    storage: Storage,
    contents: Contents,
    used: set[ObjectName],
    now: datetime,
    grace: timedelta,
    *,
    dry_run: bool,
) -> tuple[int, int, int]:
    """Remove what is not used and has not been for the grace period.

    Returns:
        objects removed, bytes freed, objects that wait; with ``dry_run`` nothing is
        changed, and the numbers are those that there would be.
    """
    seen = contents.unused()
    unused = {
        str(name): (name, seen.get(str(name), now))
        for name in storage.names()
        if name not in used
    }
    due = [name for name, since in unused.values() if now - since >= grace]
    waiting = len(unused) - len(due)
    if dry_run:
        return len(due), sum(map(storage.size, due)), waiting
    contents.set_unused({text: since for text, (_, since) in unused.items()})
    # First what is known of them, then themselves: see the index.
    contents.forget(due)
    freed = sum(map(storage.remove, due))
    contents.set_unused(
        {text: since for text, (_, since) in unused.items() if now - since < grace}
    )
    return len(due), freed, waiting
