"""All paths of one revision, across its catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from offload.cache.cvmfs.catalogue import Catalogue
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.rows import Row
from offload.snapshot.tree import Kind

_KEPT = 64
"""Catalogues that stay open."""


class Namespace:
    """What lies where in a revision; catalogues are opened when they are needed.

    Args:
        root: the root catalogue.
        load: opens a catalogue; what it raises comes out of every method.
    """

    def __init__(
        self, root: ObjectName, load: Callable[[ObjectName], Catalogue]
    ) -> None:
        self._root = root
        self._load = load
        self._open: dict[ObjectName, Catalogue] = {}

    def lookup(self, path: bytes) -> Row | None:
        """Return what lies at an absolute path (root: empty); None if nothing does."""
        return self.catalogue_of(path).lookup(path)

    def listing(self, path: bytes) -> list[Row]:
        """Return what lies directly in a folder, sorted by name."""
        return self.catalogue_of(path).listing(path)

    def walk(self, path: bytes) -> Iterator[tuple[bytes, Row]]:
        """Yield path and row of all that is below a folder; folders before content."""
        for row in self.listing(path):
            child = path + b"/" + row.name
            yield child, row
            if row.kind is Kind.FOLDER:
                yield from self.walk(child)

    def catalogue_of(self, path: bytes) -> Catalogue:
        """Return the catalogue that describes a path and, of a folder, its content."""
        catalogue = self._catalogue(self._root)
        while (nested := catalogue.nested_of(path)) is not None:
            catalogue = self._catalogue(nested.object)
        return catalogue

    def _catalogue(self, name: ObjectName) -> Catalogue:
        catalogue = self._open.pop(name, None)
        if catalogue is None:
            catalogue = self._load(name)
        self._open[name] = catalogue  # the last one used is the last one
        if len(self._open) > _KEPT:
            del self._open[next(iter(self._open))]
        return catalogue
