"""Bundles as a site has them: brought before all else, and used for whole trees too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from offload.cache.cvmfs.rows import Row
from offload.cache.errors import CacheError
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.bundles import INDEX, RAW, path_of, places
from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.store import content_at
from offload.cache.reading.view import View
from offload.snapshot.tree import Kind


def files_of(view: View, image: str) -> list[Row]:
    """Return the files of an image's bundle, in the order in which they are needed.

    Raises:
        CacheError: the repository's catalogues cannot be had.
    """
    path = path_of(image)
    row = view.find(path)
    if row is None or row.kind is not Kind.FOLDER:
        return []
    rows = [row for row in view.listing(path) if row.kind is Kind.FILE]

    def order(row: Row) -> tuple[bool, int, bytes]:
        number = row.name.removesuffix(RAW)
        return row.name != INDEX, len(number), number

    return sorted(rows, key=order)


def amount_of(files: list[Row], fetcher: Fetcher) -> tuple[int, int] | None:
    """Return how many objects a bundle has, and their bytes of content; None of none.

    Args:
        files: of the bundle, as :func:`files_of` returns them.
        fetcher: gets its index.

    Raises:
        CacheError: that cannot be had.
    """
    index = next((row for row in files if row.name == INDEX), None)
    data = None if index is None else content_at(str(fetcher.path(index)))
    if data is None:
        return None
    found = places(data).values()
    return len(found), sum(place.size for place in found)


@contextmanager
def unpacked(view: View, image: str, fetcher: Fetcher) -> Iterator[None]:
    """Have nothing fetched meanwhile that is in parts of the bundle which are here."""
    try:
        here = {row.name: fetcher.whole(row) for row in files_of(view, image)}
    except CacheError:
        here = {}
    if here.get(INDEX) is None:
        yield
        return
    ahead = Ahead()
    try:
        for name, path in here.items():
            if path is not None:
                ahead.add(name, path)
        ahead.end()
        with fetcher.helped_by(ahead.read):
            yield
    finally:
        ahead.close()
