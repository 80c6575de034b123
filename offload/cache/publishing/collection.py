"""Removes what nothing refers to: names nobody asks for, their images, their layers.

An image stays as long as a name leads to it or somebody keeps it, and for the grace
period after. Only then it leaves the newest revision; its objects stay for as long as a
revision that is kept has them, and for the repository's own grace period.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from offload.cache.cvmfs.collection import Collected
from offload.cache.publishing.pins import Pins
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import INBOX, Reference
from offload.cache.publishing.shelf import (
    Shelf,
    remove_image,
    remove_layer,
    remove_name,
)
from offload.cache.publishing.work import Entry

_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Removed:
    """What was, or would be, removed from the newest revision."""

    names: tuple[Reference, ...] = ()
    images: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


def forgotten_names(
    names: Mapping[Reference, str],
    entries: Iterable[Entry],
    pinned: Collection[str],
    now: float,
    retention_s: float,
) -> list[Reference]:
    """Return names of images that were handed over and nobody asks for any more.

    A name of a registry is the registry's to delete.
    """
    asked = {entry.reference: entry.asked_at for entry in entries}
    return [
        name
        for name, image in names.items()
        if name.registry == INBOX
        and image not in pinned
        and asked.get(name, 0.0) < now - retention_s
    ]


def unreferenced(
    images: Iterable[str], names: Iterable[str], pinned: Collection[str]
) -> list[str]:
    """Return images that no name leads to and nobody keeps."""
    kept = {*names, *pinned}
    return [image for image in images if image not in kept]


class Collector:
    """Removes from one repository; one at a time works, others wait."""

    def __init__(
        self,
        shelf: Shelf,
        queue: Queue,
        pins: Pins,
        *,
        retention_s: float,
        grace_s: float,
        revisions: int,
    ) -> None:
        self._lock = threading.Lock()
        self._shelf = shelf
        self._queue = queue
        self._pins = pins
        self._retention_s = retention_s
        self._grace_s = grace_s
        self._revisions = revisions

    def collect(
        self, now: float, *, dry_run: bool = False, at_once: bool = False
    ) -> tuple[Removed, Collected]:
        """Remove what is due; with ``dry_run`` only say what would be.

        Killed in between, again it does the rest.

        Args:
            now: seconds since the epoch.
            dry_run: change nothing.
            at_once: there is no grace, and of the revisions only the newest is kept:
                what should never have been published is gone from here.

        Raises:
            RepositoryBusyError: somebody else writes to the repository.
        """
        with self._lock:
            grace_s = 0.0 if at_once else self._grace_s
            removed = self._remove(now, grace_s, dry_run=dry_run)
            collected = self._shelf.repository.collect(
                1 if at_once else self._revisions,
                timedelta(seconds=grace_s),
                dry_run=dry_run,
                wait_s=_WAIT_S,
            )
        return removed, collected

    def _remove(self, now: float, grace_s: float, *, dry_run: bool) -> Removed:
        head = self._shelf.head()
        removed = self._decide(now, grace_s)
        if dry_run or removed == Removed():
            return removed
        with self._shelf.repository.transaction(wait_s=_WAIT_S) as change:
            # Nobody publishes from here on; who has since we looked is rare.
            if self._shelf.head() != head:
                removed = self._decide(now, grace_s)
            for name in removed.names:
                remove_name(change, name)
            for image in removed.images:
                remove_image(change, image)
            for layer in removed.layers:
                remove_layer(change, layer)
            with self._pins.still():
                # What somebody asks for or keeps since we looked stays, and the rest
                # goes next time.
                if self._is_wanted(removed, now):
                    return Removed()
                change.commit()
        # Not those that somebody has asked for meanwhile.
        self._queue.forget(removed.names, now - self._retention_s)
        return removed

    def _is_wanted(self, removed: Removed, now: float) -> bool:
        names, pinned = self._shelf.names(), self._pins.images()
        kept = {name: names[name] for name in removed.names if name in names}
        forgotten = forgotten_names(
            kept, self._queue.entries(), pinned, now, self._retention_s
        )
        return len(forgotten) < len(kept) or not pinned.isdisjoint(removed.images)

    def _decide(self, now: float, grace_s: float) -> Removed:
        names, pinned = self._shelf.names(), self._pins.images()
        entries = self._queue.entries()
        gone = forgotten_names(names, entries, pinned, now, self._retention_s)
        for name in gone:
            del names[name]
        images = self._shelf.images()
        unused = unreferenced(images, names.values(), pinned)
        since = self._pins.unused_since(unused, now)
        due = [image for image in unused if since[image] <= now - grace_s]
        layers: set[str] = set()
        if due:
            layers = set(self._shelf.layers())
            for image in set(images).difference(due):
                layers -= {blob.digest for blob in self._shelf.image(image).layers}
        return Removed(tuple(gone), tuple(due), tuple(sorted(layers)))
