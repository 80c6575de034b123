"""Looks whether every object is there and what its name says, before a site finds out.

Disks lose and change bytes silently. What is damaged is set aside, so that nobody fetches
it and whoever publishes it again makes it anew; what is set aside and named by a kept
revision is *lost* until then. Objects are looked at folder by folder, in 256 steps: where
one verification stops, the next goes on. Nobody waits for it but for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from offload.cache.cvmfs.collection import mark
from offload.cache.cvmfs.contents import Contents
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.namespace import Namespace
from offload.cache.cvmfs.publication import Publication
from offload.cache.cvmfs.storage import Storage

STEPS = 256


@dataclass(frozen=True, slots=True)
class Damage:
    """An object that is not what it should be."""

    name: ObjectName
    reason: str
    paths: tuple[bytes, ...]
    """Of the published revision, that it is content of. None: it is a catalogue, or of
    older revisions only."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One step of a verification."""

    step: int
    """Of ``STEPS``; counts from 1."""
    objects: int
    size: int
    """Bytes that were read."""
    damaged: tuple[Damage, ...]


class Verification:
    """One pass over all objects of a repository.

    Args:
        storage: of the objects.
        publication: says which revisions are kept.
        contents: the index; damaged objects are forgotten.
        position: file with the number of steps that are done.
        alone: keeps others from publishing.
    """

    def __init__(
        self,
        storage: Storage,
        publication: Publication,
        contents: Contents,
        position: Path,
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._storage = storage
        self._publication = publication
        self._contents = contents
        self._position = position
        self._alone = alone

    def run(self) -> Iterator[Verified]:
        """Go on where the last verification stopped, to the end; a step at a time.

        Raises:
            RepositoryBusyError: damage was found, and somebody publishes for too long.
        """
        done = self._done()
        wanted = self._named()
        self._storage.forget_lost(wanted)
        for step in range(done, STEPS):
            yield self._verify(step, wanted)
            self._position.write_text(f"{(step + 1) % STEPS}\n")

    def _done(self) -> int:
        with suppress(FileNotFoundError, ValueError):
            return int(self._position.read_text()) % STEPS
        return 0

    def _named(self) -> set[ObjectName]:
        """Return all that kept revisions name, as far as catalogues can be read."""
        head = self._publication.head()
        named = {head.certificate, head.history}
        for tag in self._publication.tags():
            with suppress(RepositoryError):  # a catalogue's own step tells of it
                mark(self._storage, [tag.catalogue], named)
        return named

    def _verify(self, step: int, wanted: set[ObjectName]) -> Verified:
        there = list(self._storage.names(step))
        wrong: dict[ObjectName, str] = {}
        size = 0
        for name in there:
            with suppress(FileNotFoundError):  # collected a moment ago
                size += self._storage.size(name)
                if reason := self._storage.difference(name):
                    wrong[name] = reason
        absent = {name for name in wanted.difference(there) if name.digest[0] == step}
        wrong |= dict.fromkeys(absent, "it is not there")
        damaged = self._set_aside(wrong) if wrong else ()
        return Verified(step + 1, len(there), size, damaged)

    def _set_aside(self, wrong: dict[ObjectName, str]) -> tuple[Damage, ...]:
        with self._alone():
            named = self._named()
            found = []
            self._contents.forget(wrong)
            self._storage.announce_removal()
            for name, reason in sorted(wrong.items()):
                if self._storage.has(name) and not self._storage.difference(name):
                    continue  # published again meanwhile
                self._storage.set_aside(name, is_lost=name in named)
                if name in named:
                    found.append((name, reason))
            used = self._paths({name for name, _ in found}) if found else {}
        return tuple(
            Damage(name, reason, tuple(used.get(name, ()))) for name, reason in found
        )

    def _paths(self, names: set[ObjectName]) -> dict[ObjectName, list[bytes]]:
        used: dict[ObjectName, list[bytes]] = {}
        head = self._publication.head()
        with suppress(RepositoryError):  # no further than to a damaged catalogue
            for path, row in Namespace(head.catalogue, self._storage.catalogue).walk(
                b""
            ):
                for name in names.intersection(row.objects()):
                    used.setdefault(name, []).append(path)
        return used
