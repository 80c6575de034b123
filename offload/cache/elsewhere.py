"""Layers that need not be sent: a repository of published environments has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from facility.errors import FacilityError
from offload.cache.background import Background

PATIENCE_S = 3.0
"""For so long somebody waits to hear what the repository has."""
AGAIN_S = 30.0
"""A repository that could not be asked is left alone for so long."""
NEW_S = 1.0
"""A look that is younger is not repeated."""
LATER_S = 10.0
"""So much later comes whole what a job reads lazily: it is not to wait for that."""
STILL_S = 0.5
"""So often is asked meanwhile whether jobs still can."""


class MountedLayers:
    """A repository that the site mounts: ``/cvmfs/FQRN``. Nothing of it is copied.

    Args:
        mount: where, on every node.
    """

    def __init__(self, mount: Path) -> None:
        self._mount = mount

    def folder(self, digest: str) -> Path | None:
        """Return where a layer lies there, as it unpacks; None if it is not there."""
        name = digest.removeprefix("sha256:")
        place = self._mount / ".layers" / name[:2] / name / "layerfs"
        try:
            return place if place.is_dir() else None
        except OSError:  # the mount is dead, or closed to us: as if it were not there
            return None


class Repository(Protocol):
    """A cache of a repository, as :mod:`offload.cache.reading` makes it."""

    def refresh(self, max_age_s: float = 0.0) -> object:
        """Look for a newer revision."""

    def find(self, path: str) -> object | None:
        """Return what lies at a path."""

    def layer(self, digest: str) -> Path | None:
        """Return where a layer lies here, fetched if need be."""

    def unpin(self, uid: str) -> None:
        """Forget what a job reads of it."""

    def forget_jobs(self, is_known: Callable[[str], bool], before: float) -> None:
        """Forget jobs that have vanished."""

    def collect(self, *, wanted: int = 0) -> object:
        """Give up what is kept of it where that makes so much room on the disk."""


@dataclass(eq=False, slots=True)
class _Look:
    """A question to the repository, and its answer as far as there is one."""

    digests: frozenset[str]
    image: str
    found: frozenset[str] = frozenset()
    is_over: threading.Event = field(default_factory=threading.Event)


class FetchedLayers:
    """A repository that is read over the network, in threads of its own.

    Nobody waits long for it: what it does not answer in time is sent as ever.

    Args:
        repository: that is read.
        take: called with each layer's digest and folder once it is here.
        clock: seconds; any that only grows.
        is_sooner: see :class:`~offload.cache.site.SiteCache`.
        can_mount: likewise.
    """

    def __init__(
        self,
        repository: Repository,
        take: Callable[[str, Path], object],
        clock: Callable[[], float] = time.monotonic,
        is_sooner: Callable[[str, Collection[str]], bool] | None = None,
        can_mount: Callable[[], bool] = lambda: True,
    ) -> None:
        self._repository = repository
        self._take = take
        self._is_sooner = is_sooner
        self._can_mount = can_mount
        self._clock = clock
        self._background = Background()
        self._lock = threading.Lock()
        self._looking: _Look | None = None
        self._lazily: frozenset[str] = frozenset()
        self._not_before: dict[str, float] = {}
        """When to try again what failed: the whole, by no name, or a layer."""

    def fetch(self, digests: Collection[str], image: str = "") -> frozenset[str]:
        """Begin to fetch what the repository has of these; return what that is.

        Some of it may be here already. What fails is not among them for a while.

        Args:
            digests: of layers.
            image: of which all of these are, if of any: a job may read it lazily.
        """
        wanted = frozenset(digests)
        until = time.monotonic() + PATIENCE_S
        while (left_s := until - time.monotonic()) > 0:
            with self._lock:
                if self._looking is None or self._looking.is_over.is_set():
                    if self._has_failed(""):
                        break
                    self._looking = _Look(wanted, image)
                    threading.Thread(
                        target=self._look, args=(self._looking,), daemon=True
                    ).start()
                look = self._looking
            look.is_over.wait(left_s)
            # What somebody else looks for says nothing of ours.
            if wanted <= look.digests and image == look.image:
                return wanted & look.found
        return frozenset()

    def is_read_lazily(self, digest: str) -> bool:
        """Whether a job that needs a layer may start before it is here."""
        with self._lock:
            return digest in self._lazily

    def unpin(self, uid: str) -> None:
        """Forget what a job reads of the repository."""
        self._repository.unpin(uid)

    def forget_pods(self, is_known: Callable[[str], bool], before: float) -> None:
        """Forget pods that have vanished; see :meth:`Pins.forget`."""
        self._repository.forget_jobs(is_known, before)

    def make_room(self, size: int) -> None:
        """Make so much room on the disk, as far as what is kept can give way."""
        with suppress(FacilityError, OSError):
            self._repository.collect(wanted=size)

    def _look(self, look: _Look) -> None:
        digests, image = look.digests, look.image
        is_lazy = False
        try:
            self._repository.refresh(NEW_S)
            wanted = {each for each in digests if not self._has_failed(each)}
            look.found = frozenset(each for each in wanted if self._has(each))
            if image and look.found and self._is_sooner is not None:
                is_lazy = self._is_sooner(image, look.found)
        except (FacilityError, OSError):
            look.found = frozenset()
            self._not_before[""] = self._clock() + AGAIN_S
        finally:
            read = look.found if is_lazy else frozenset()
            with self._lock:
                # What was read lazily before may be sooner whole by now.
                self._lazily = self._lazily - digests | read
            look.is_over.set()
        if is_lazy:
            threading.Thread(
                target=self._fetch_later, args=(look.found,), daemon=True
            ).start()
        else:
            self._fetch(look.found)

    def _fetch_later(self, digests: frozenset[str]) -> None:
        until = time.monotonic() + LATER_S
        with suppress(OSError):
            while time.monotonic() < until and self._can_mount():
                time.sleep(STILL_S)
        self._fetch(digests)

    def _fetch(self, digests: Collection[str]) -> None:
        for digest in digests:
            self._background.do(digest, partial(self._bring, digest))

    def _has(self, digest: str) -> bool:
        name = digest.removeprefix("sha256:")
        return self._repository.find(f"/.layers/{name[:2]}/{name}/layerfs") is not None

    def _bring(self, digest: str) -> None:
        try:
            folder = self._repository.layer(digest)
            if folder is not None:
                self._take(digest, folder)
        except (FacilityError, OSError):
            self._not_before[digest] = self._clock() + AGAIN_S
            with self._lock:
                # Else nobody would ask for it again, and all jobs read it lazily.
                self._lazily -= {digest}

    def _has_failed(self, name: str) -> bool:
        return self._clock() < self._not_before.get(name, 0.0)
