"""A site's cache of a repository: what jobs here read of published environments.

Below the folder, for each repository by name: ``signed`` (the last revision that was
believed), ``objects`` and ``content`` (the store), ``images/HEX`` and ``layers/HEX``
(trees), ``pins/UID``, ``traces/HEX``, ``drafts``, ``trash``, ``locks``.

All methods block and may be called from several threads, and several processes may use
the same folder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from offload.cache.cvmfs.rows import Row
from offload.cache.reading.building import Rows
from offload.cache.reading.bundled import amount_of, files_of, unpacked
from offload.cache.reading.choosing import Amount
from offload.cache.reading.errors import ReadingError
from offload.cache.reading.eviction import Freed
from offload.cache.reading.following import Follower
from offload.cache.reading.keeping import Keeper
from offload.cache.reading.pace import Pace
from offload.cache.reading.paths import (
    bytes_of,
    hex_of,
    image_path,
    is_wanted,
    layer_path,
)
from offload.cache.reading.reader import Reader
from offload.cache.reading.settings import RepositorySettings
from offload.cache.reading.traces import Trace
from offload.cache.reading.view import Revision, View

_AT_ONCE = 8
"""Files of a bundle: were there more, those needed first would come later."""


class RepositoryCache:
    """What a site keeps of one repository.

    Args:
        folder: of the site's cache; made if need be, mode 0700.
        settings: which repository, and how it is reached.

    Raises:
        CacheError: the folder cannot be used.
    """

    def __init__(self, folder: Path, settings: RepositorySettings) -> None:
        self.settings = settings
        self.folder = folder / settings.fqrn
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._reader = Reader(
                self.folder,
                settings.urls,
                settings.proxies,
                settings.connections,
                self.make_room,
            )
            self._keeper = Keeper(
                self.folder, self._reader, settings.connections, settings.quota_bytes
            )
        except OSError as error:
            raise ReadingError(
                f"{folder}: expected a folder of mine, got: {error.strerror}"
            ) from None
        self._fetcher = self._reader.fetcher
        self._follower = Follower(self.folder / "signed", settings, self._reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._reader.close()

    # What the repository holds.

    def refresh(self, max_age_s: float = 0.0) -> Revision:
        """Return the newest revision; see :meth:`Follower.refresh`."""
        return self._follower.refresh(max_age_s)

    def view(self) -> View:
        """Return a revision to look at: not older than the settings allow.

        While nobody answers, or what is offered cannot be believed, that is the last
        good one, and the revision has a note.

        Raises:
            CacheError: there is none.
        """
        return View(self._follower.current(), self._reader.catalogues)

    def find(self, path: str) -> Row | None:
        """Return what lies at an absolute path of the repository."""
        return self.view().find(bytes_of(path))

    # What jobs use.

    def image(self, digest: str) -> Path | None:
        """Return the tree of an image, made if need be, checked and mended if not.

        A tree that is here needs nobody to answer. It is hard-linked to what the cache
        keeps: it must be shown to jobs read-only.

        Args:
            digest: of the image's manifest, ``sha256:HEX``.

        Returns:
            None if the repository has no such image (yet).

        Raises:
            CacheError: it cannot be had, or does not fit.
        """
        return self._tree("images", digest, image_path(digest))

    def layer(self, digest: str) -> Path | None:
        """Return a layer as the folder it unpacks to; see :meth:`image`."""
        return self._tree("layers", digest, layer_path(digest))

    def wait(self, digest: str, timeout_s: float) -> Revision | None:
        """Return the first revision seen that has an image; None if none has in time.

        Raises:
            UntrustedError: what is offered cannot be believed.
        """
        path = image_path(digest)

        def has_it(revision: Revision) -> bool:
            return View(revision, self._reader.catalogues).find(path) is not None

        return self._follower.wait(has_it, timeout_s)

    def materialise(self, path: str, target: Path, only: tuple[str, ...] = ()) -> None:
        """Make a folder with copies of what lies below a path of the repository.

        Args:
            path: absolute, in the repository.
            target: must not exist; appears at once, whole.
            only: relative paths; with what is above and below them. All if empty.

        Raises:
            CacheError: it cannot be had, or does not fit.
        """
        rows = self.view().walk(bytes_of(path))
        wanted = [bytes_of(one).strip(b"/") for one in only]
        kept = ((p, row) for p, row in rows if not wanted or is_wanted(p, wanted))
        self._keeper.kinds["images"].copy(kept, target)

    def bundle(
        self,
        image: str,
        arrived: Callable[[bytes, Path], object] = lambda _name, _path: None,
        view: View | None = None,
    ) -> bool:
        """Bring here what jobs read of an image before.

        Args:
            image: digest of its manifest.
            arrived: called with name and place of each file of the bundle as soon as
                it is here.
            view: of the revision to look in; by default one that is new enough.

        Returns:
            Whether the repository knows of anything.

        Raises:
            CacheError: no revision is known, or some of it cannot be had.
        """
        rows = files_of(view or self.view(), image)
        connections = min(self.settings.connections, _AT_ONCE)
        for row, place in self._fetcher.bring(rows, connections):
            arrived(row.name, place)
        self._keeper.stay_below_quota()
        return bool(rows)

    def amount(self, image: str, view: View | None = None) -> Amount:
        """Return how much may come of an image; nothing if it is here, or not there."""
        view = view or self.view()
        path = image_path(image)
        if self.has_image(image) or view.find(path) is None:
            return Amount(0, 0)
        counters = view.counters(path)
        return Amount(counters.regular, counters.file_size)

    def read_before(self, image: str, view: View) -> Amount | None:
        """Return how much jobs read of an image, here or, if none did, anywhere.

        Raises:
            CacheError: it has a bundle, and that cannot be had.
        """
        trace = self.trace(image)
        if len(trace):
            return Amount(len(trace), trace.size)
        found = amount_of(files_of(view, image), self._fetcher)
        return None if found is None else Amount(*found)

    def has_image(self, image: str) -> bool:
        """Whether an image's tree is here."""
        return self._keeper.has("images", image)

    def trace(self, image: str) -> Trace:
        """Return what jobs were seen to read of an image."""
        return self._reader.trace(image)

    @property
    def added(self) -> int:
        """Bytes of content that this process has brought here."""
        return self._fetcher.added

    @property
    def pace(self) -> Pace:
        """How fast this process's transfers were."""
        return self._reader.transfer.pace

    # What is kept.

    def pin(self, uid: str, *paths: str) -> None:
        """Keep images (``/.flat/ab/HEX``, or a digest) for a job until it is unpinned.

        Do this before the job asks for them. Again is fine; the last call counts.

        Raises:
            CacheError: that is no UID or no image or layer.
        """
        self._keeper.pin(uid, *paths)

    def unpin(self, uid: str) -> None:
        """Forget a job's need; again is fine."""
        self._keeper.unpin(
            uid, lambda: View(self._follower.last(), self._reader.catalogues)
        )

    def forget_jobs(self, is_known: Callable[[str], bool], before: float) -> None:
        """Forget jobs that have vanished; see :meth:`Pins.forget`."""
        self._keeper.forget_jobs(is_known, before)

    def collect(self, *, wanted: int = 0) -> Freed:
        """Bring the cache below its quota, never touching what is pinned.

        Args:
            wanted: bytes that are to fit on the disk beside what is here; if they
                cannot be made to, nothing is given up for them.
        """
        return self._keeper.collect(wanted=wanted)

    def make_room(self, size: int) -> None:
        """Free so many bytes where writing them has failed.

        Raises:
            NoSpaceError: all that is here is used by jobs.
        """
        self._keeper.make_room(size)

    def verify(self, progress: Callable[[str], None] = lambda _name: None) -> int:
        """Read all bytes of all trees; mend what is damaged, return how many files.

        Raises:
            CacheError: what is damaged cannot be had.
        """
        return self._keeper.verify(self._rows, progress)

    def trees(self) -> list[str]:
        """Return what can be used without asking anybody: ``images/HEX`` and so on."""
        return self._keeper.names()

    def size(self) -> int:
        """Return the bytes that all contents take."""
        return self._keeper.size()

    def _tree(self, kind: str, digest: str, path: bytes) -> Path | None:
        make = partial(
            self._keeper.kinds[kind].ensure,
            hex_of(digest),
            partial(self._rows, path),
            self.settings.verify_s,
        )
        if self._keeper.has(kind, digest):
            place = self._keeper.with_room(make)
        else:
            view = self.view()
            if view.find(path) is None:
                return None
            self._keeper.expect(view, path)
            with unpacked(view, digest, self._fetcher):
                place = self._keeper.with_room(make)
            if kind == "images":
                self._keeper.drop_catalogues(hex_of(digest), lambda: view)
        self._keeper.stay_below_quota()
        return place

    def _rows(self, path: bytes) -> Rows:
        return self.view().walk(path)
