"""One revision as a tree of paths, through all its nested catalogues."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from offload.cache.cvmfs.catalogue import Catalogue, Counters
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.rows import Row
from offload.cache.reading.errors import ReadingError
from offload.snapshot.tree import Kind

if TYPE_CHECKING:
    from offload.cache.cvmfs.manifest import Manifest

_OPEN = 64
"""Catalogues that are held open."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A state of a repository that was believed."""

    fqrn: str
    number: int
    published: datetime
    catalogue: ObjectName
    """The root catalogue."""
    catalogue_bytes: int
    note: str | None = None
    """Why it may not be the newest, if nobody can be asked."""

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Read what :meth:`__str__` gives."""
        fqrn, number, published, catalogue, size = text.split(" ")
        return cls(
            fqrn,
            int(number),
            datetime.fromisoformat(published),
            ObjectName.parse(catalogue, Suffix.CATALOGUE),
            int(size),
        )

    def __str__(self) -> str:
        """Return what another process needs to look at it; without the note."""
        return (
            f"{self.fqrn} {self.number} {self.published.isoformat()} "
            f"{self.catalogue.hex} {self.catalogue_bytes}"
        )

    @classmethod
    def of(cls, manifest: Manifest, note: str | None = None) -> Revision:
        """Return the revision that a verified manifest names."""
        return cls(
            manifest.fqrn,
            manifest.revision,
            manifest.published,
            manifest.catalogue,
            manifest.catalogue_bytes,
            note,
        )


class Catalogues:
    """Catalogues by name, opened when they are needed first. Thread-safe.

    Args:
        fetch: returns where a catalogue lies, verified, given its name and size.
    """

    def __init__(self, fetch: Callable[[ObjectName, int], Path]) -> None:
        self._fetch = fetch
        self._open: OrderedDict[ObjectName, Catalogue] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: ObjectName, size: int) -> Catalogue:
        """Return a catalogue.

        Raises:
            ReadingError: it cannot be had.
            RepositoryError: it is none.
        """
        with self._lock:
            if name in self._open:
                self._open.move_to_end(name)
                return self._open[name]
        opened = self._opened(name, size)
        with self._lock:
            self._open[name] = opened
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)  # closed once nobody asks it any more
        return opened

    def forget(self, name: ObjectName) -> None:
        """Hold a catalogue open no more; who asks it still has it."""
        with self._lock:
            self._open.pop(name, None)

    def _opened(self, name: ObjectName, size: int) -> Catalogue:
        path = self._fetch(name, size)
        try:
            return Catalogue.open(path)
        except RepositoryError:
            if path.exists():
                raise
            return Catalogue.open(self._fetch(name, size))  # it was given up meanwhile


class View:
    """What lies where in a revision. Paths are absolute bytes; the root is empty."""

    def __init__(self, revision: Revision, catalogues: Catalogues) -> None:
        self.revision = revision
        self._catalogues = catalogues

    def find(self, path: bytes) -> Row | None:
        """Return what lies at a path; links are not followed."""
        return self._catalogue(path, with_content=False).lookup(path)

    def listing(self, path: bytes) -> list[Row]:
        """Return what lies directly in a folder, sorted by name."""
        return self._catalogue(path).listing(path)

    def counters(self, path: bytes) -> Counters:
        """Return what lies in and below the catalogue that describes a path."""
        own, below = self._catalogue(path).counters()
        return own.plus(below)

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield all that lies below a folder, folders before what is in them.

        Paths are relative to the folder, which itself comes first, as the empty path.

        Raises:
            ReadingError: there is no such folder, or a name leads elsewhere.
        """
        top = self.find(path)
        if top is None or top.kind is not Kind.FOLDER:
            raise ReadingError(f"{path.decode(errors='replace')}: expected a folder")
        yield b"", top
        waiting = [(path, b"")]
        while waiting:
            folder, prefix = waiting.pop()
            for row in self.listing(folder):
                if row.name in {b"", b".", b".."} or b"/" in row.name:
                    raise ReadingError(f"{folder!r}: holds a name {row.name!r}")
                yield prefix + row.name, row
                if row.kind is Kind.FOLDER:
                    below = folder + b"/" + row.name
                    waiting.append((below, prefix + row.name + b"/"))

    def catalogues(
        self, path: bytes, is_here: Callable[[ObjectName], bool]
    ) -> list[ObjectName]:
        """Return the catalogues that are here and have nothing but what a folder has."""
        found: list[ObjectName] = []
        top = self.revision
        waiting = [(top.catalogue, top.catalogue_bytes)]
        while waiting:
            name, size = waiting.pop()
            for nested in (
                self._catalogues.get(name, size).nested() if is_here(name) else ()
            ):
                is_below = (nested.path + b"/").startswith(path + b"/")
                is_above = path.startswith(nested.path + b"/")
                if is_below or is_above:
                    waiting.append((nested.object, nested.size))
                if is_below and is_here(nested.object):
                    found.append(nested.object)
        return found

    def _catalogue(self, path: bytes, *, with_content: bool = True) -> Catalogue:
        """Return the catalogue that has a path, and if need be what a folder there has."""
        at = self._catalogues.get(
            self.revision.catalogue, self.revision.catalogue_bytes
        )
        while (nested := at.nested_of(path)) is not None:
            if nested.path == path and not with_content:
                break
            at = self._catalogues.get(nested.object, nested.size)
        return at
