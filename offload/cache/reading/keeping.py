"""What a site keeps of a repository: below its quota, on its disk, and what jobs need."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.rows import Row
from offload.cache.errors import CacheError, NoSpaceError
from offload.cache.pins import Pins
from offload.cache.reading.building import Rows
from offload.cache.reading.eviction import Collector, Freed
from offload.cache.reading.fetching import key_of
from offload.cache.reading.paths import hex_of, path_of_tree, tree_name
from offload.cache.reading.placing import Placer
from offload.cache.reading.reader import Reader
from offload.cache.reading.trees import Trees
from offload.cache.reading.view import View
from offload.snapshot.tree import Kind

_LOOK_AGAIN = 50
"""The quota is looked at after each 1/50 of it that was fetched."""
_BLOCK = 4096
_SPARE = 16 << 20
"""Bytes that are freed beyond what is asked for, if they can be: to look at all that is
here costs more than to fetch some of it again."""


class Keeper:
    """Trees, pins and the room for them.

    Args:
        folder: of the cache of this repository.
        reader: of it.
        connections: threads that make a tree.
        quota_bytes: what all contents may take; None leaves it to the disk.
    """

    def __init__(
        self, folder: Path, reader: Reader, connections: int, quota_bytes: int | None
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._quota_bytes = quota_bytes
        placer = Placer(reader.store, reader.fetcher)
        self.kinds = {
            kind: Trees(folder / kind, reader.store, placer, reader.locks, connections)
            for kind in ("images", "layers")
        }
        self._pins = Pins(folder / "pins")
        self._collector = Collector(folder, reader.store, self.kinds)
        self._looked_at = 0

    def pin(self, uid: str, *paths: str) -> None:
        """See :meth:`RepositoryCache.pin`."""
        with self._reader.locks.held("collect"):
            self._pins.add(uid, tuple(tree_name(path) for path in paths))

    def unpin(self, uid: str, view: Callable[[], View]) -> None:
        """Forget a job's need; again is fine.

        Args:
            uid: of the job.
            view: of the last revision that was believed.
        """
        before = self._pins.of(uid)
        self._pins.remove(uid)
        for path in before:
            kind, _, name = path.partition("/")
            if kind == "images" and self.kinds[kind].has(name):
                self.drop_catalogues(name, view)

    def forget_jobs(self, is_known: Callable[[str], bool], before: float) -> None:
        """Forget jobs that have vanished; see :meth:`Pins.forget`."""
        with self._reader.locks.held("collect"):
            self._pins.forget(is_known, before)

    def drop_catalogues(self, image: str, view: Callable[[], View]) -> None:
        """Give up what only reading an image lazily needs, unless a job has pinned it.

        Its tree says by itself what it must look like.
        """
        if f"images/{image}" in self._pins.images():
            return
        store, path = self._reader.store, path_of_tree("images", image)

        def is_here(name: ObjectName) -> bool:
            return store.find(str(name)) is not None

        with suppress(CacheError):  # what cannot be told now goes when room is needed
            for name in view().catalogues(path, is_here):
                if content := store.content(str(name)):
                    store.drop(content)
                self._reader.catalogues.forget(name)

    def size(self) -> int:
        """Return the bytes that all contents take."""
        return sum(kept.size for kept in self._reader.store.kept().values())

    def has(self, kind: str, digest: str) -> bool:
        """Whether there is a tree, whole as far as its making goes."""
        return self.kinds[kind].has(hex_of(digest))

    def names(self) -> list[str]:
        """Return the trees that are whole: ``images/HEX`` and so on."""
        return sorted(
            f"{kind}/{name}"
            for kind, made in self.kinds.items()
            for name in made.names()
        )

    def verify(
        self, rows: Callable[[bytes], Rows], progress: Callable[[str], None]
    ) -> int:
        """Read all bytes of all trees; mend what is damaged, return how many files.

        Args:
            rows: returns what the repository has at a path; asked if that is damaged.
            progress: told each tree before it is read.

        Raises:
            CacheError: what is damaged cannot be had.
        """
        mended = 0
        for path in self.names():
            progress(path)
            kind, _, name = path.partition("/")
            made, wanted = self.kinds[kind], partial(rows, path_of_tree(kind, name))
            mended += made.mend(name, made.entries(name), wanted, reads_all=True)
        return mended

    def collect(self, *, wanted: int = 0, is_full: bool = False) -> Freed:
        """Bring the cache below its quota; see :meth:`Collector.collect`."""
        with self._reader.locks.held("collect"):
            pinned = self._pins.images()
            traced = frozenset(
                str(use.name)
                for name in pinned
                if name.startswith("images/")
                for use in self._reader.trace(name.removeprefix("images/")).uses
            )
            freed = self._collector.collect(
                self._quota_bytes, pinned, traced, wanted=wanted, is_full=is_full
            )
        self._collector.empty_trash()
        return freed

    def make_room(self, size: int) -> None:
        """Free so many bytes: writing them has failed, whatever the disk says.

        Raises:
            NoSpaceError: all that is here is used by jobs.
        """
        self._free(size, is_full=True)

    def expect(self, view: View, path: bytes) -> None:
        """Make room for a tree before any of it comes.

        Raises:
            NoSpaceError: it does not fit; nothing was given up.
        """
        counters = view.counters(path)
        if counters.file_size + counters.regular * _BLOCK <= self._room():
            return
        missing = {key_of(row): row for _, row in view.walk(path) if self._is_new(row)}
        wanted = sum(-(-row.size // _BLOCK) * _BLOCK for row in missing.values())
        if wanted > self._room():
            self._free(wanted, is_full=False)

    def stay_below_quota(self) -> None:
        """Collect if much has come since somebody looked."""
        added = self._reader.fetcher.added
        quota = self._quota_bytes
        if quota is not None and (added - self._looked_at) * _LOOK_AGAIN > quota:
            self._looked_at = added
            self.collect()

    def with_room(self, make: Callable[[], Path]) -> Path:
        """Return what is made; folders and links may need room that has to be made.

        Raises:
            NoSpaceError: there is none.
        """
        try:
            return make()
        except NoSpaceError:
            self.make_room(_BLOCK)
            return make()

    def _is_new(self, row: Row) -> bool:
        return row.kind is Kind.FILE and self._reader.store.content(key_of(row)) is None

    def _room(self) -> int:
        free = shutil.disk_usage(self._folder).free
        if self._quota_bytes is None:
            return free
        return min(free, self._quota_bytes - self.size())

    def _free(self, size: int, *, is_full: bool) -> None:
        freed = self.collect(wanted=size + _SPARE, is_full=is_full)
        if freed.lacking > 0:
            freed = self.collect(wanted=size, is_full=is_full)
        if freed.lacking > 0:
            raise NoSpaceError(
                f"{self._folder}: {size:,} bytes do not fit, {freed.lacking:,} are "
                "lacking; all the rest is used by jobs"
            )
