"""Follows a repository: asks for its newest revision, and believes what is proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from offload.cache.cvmfs import manifest as manifests
from offload.cache.cvmfs import whitelist as whitelists
from offload.cache.cvmfs.errors import DamagedObjectError, UntrustedError
from offload.cache.cvmfs.letters import MOST_BYTES
from offload.cache.cvmfs.manifest import Manifest, SignedManifest
from offload.cache.cvmfs.whitelist import Whitelist
from offload.cache.errors import CacheError, NoSpaceError
from offload.cache.reading.errors import AbsentError, UnreachableError
from offload.cache.reading.reader import Reader
from offload.cache.reading.settings import RepositorySettings
from offload.cache.reading.trust import KnownRevision, Signed
from offload.cache.reading.view import Revision

_AGAIN_S = 5.0
"""After a failure nobody is asked again for so long, where an older state will do."""
_POLL_S = 1.0
_CERTIFICATE_BYTES = 1 << 16
_SIGNED_BYTES = 1 << 20
"""More than the signed files of a revision take."""


class Follower:
    """Knows the newest revision that can be believed."""

    def __init__(
        self, folder: Path, settings: RepositorySettings, reader: Reader
    ) -> None:
        self._settings = settings
        self._transfer = reader.transfer
        self._fetcher = reader.fetcher
        self._locks = reader.locks
        self._known = KnownRevision(folder)
        self._current: tuple[Revision, float] | None = None
        self._failed: tuple[float, str] | None = None

    def refresh(self, max_age_s: float = 0.0) -> Revision:
        """Return the newest revision, asked for at most ``max_age_s`` ago.

        While nobody answers, that is the last one that was believed, with a note.

        Raises:
            UntrustedError: what is offered is forged, expired or older than what was
                seen; the last good revision stays in use.
            UnreachableError: nobody answers, and none was ever seen.
            AbsentError: the repository is empty, and none was ever seen.
        """
        if self._current is not None and time.time() - self._current[1] < max_age_s:
            return self._current[0]
        masters = self._masters()
        with self._locks.held("refresh"):
            known = self._known.load(masters, self._settings.fqrn)
            if known is not None and time.time() - known[1] < max_age_s:
                return self._keep(*known)
            try:
                with self._early_whitelist(masters, is_needed=known is None) as early:
                    found = self._transfer.get(
                        manifests.FILE_NAME,
                        lambda body: self._believe(body, masters, early),
                        most=MOST_BYTES,
                        max_age_s=int(max_age_s),
                    )
            except (UnreachableError, AbsentError) as error:
                if known is None:
                    raise
                note = f"as of {datetime.fromtimestamp(known[1], UTC):%Y-%m-%d %H:%M}"
                return self._keep(known[0], time.time(), f"{note} UTC: {error}")
            return self._keep(found, time.time())

    def wait(
        self, is_good: Callable[[Revision], bool], timeout_s: float
    ) -> Revision | None:
        """Return the first revision seen that is good; None if none is in time.

        Raises:
            CacheError: as :meth:`refresh`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            revision = self.refresh(min(_POLL_S, self._settings.refresh_s))
            if is_good(revision):
                return revision
            if time.monotonic() + _POLL_S > deadline:
                return None
            time.sleep(_POLL_S)

    def current(self) -> Revision:
        """Return a revision to work with: new enough, or the last good one with a note.

        Raises:
            CacheError: as :meth:`refresh`, where there is no last good one.
        """
        if self._failed is not None and time.monotonic() - self._failed[0] < _AGAIN_S:
            return self._last(self._failed[1])
        try:
            return self.refresh(self._settings.refresh_s)
        except CacheError as error:
            self._failed = time.monotonic(), str(error)
            return self._last(str(error), error)

    def last(self) -> Revision:
        """Return the last revision that was believed, without asking anybody.

        Raises:
            UnreachableError: there is none.
        """
        return self._last("nobody was asked")

    def _last(self, note: str, error: CacheError | None = None) -> Revision:
        known = self._known.load(self._masters(), self._settings.fqrn)
        if known is None:
            raise error or UnreachableError(note)
        return Revision.of(known[0], note)

    def _keep(
        self, manifest: Manifest, asked: float, note: str | None = None
    ) -> Revision:
        self._failed = None
        revision = Revision.of(manifest, note)
        self._current = revision, asked
        return revision

    @contextmanager
    def _early_whitelist(
        self, masters: Sequence[bytes], *, is_needed: bool
    ) -> Iterator[list[Future[bytes]]]:
        """Ask for the whitelist beside the manifest: a job waits for both."""
        if not is_needed:
            yield []
            return
        with ThreadPoolExecutor(1, "whitelist") as pool:
            yield [pool.submit(self._whitelist, masters, datetime.now(UTC))]

    def _believe(
        self, body: bytes, masters: Sequence[bytes], early: list[Future[bytes]]
    ) -> Manifest:
        """Return a manifest once everything behind it is proven; keep it on disk.

        ``early`` has a whitelist that was asked for before; it is good for one attempt.
        """
        now = datetime.now(UTC)
        before = self._known.signed()
        if before is not None and before.manifest == body:
            signed = self._renewed(before, masters, now)
        else:
            certificate = self._certificate(body)
            whitelist = early.pop().result() if early else self._whitelist(masters, now)
            signed = Signed(body, whitelist, certificate)
        manifest = signed.verify(masters, self._settings.fqrn, now)
        seen = self._known.seen
        if seen is not None:
            seen.allow(manifest)
        if signed == before and seen is not None:
            self._known.confirm()
        else:
            try:
                self._known.save(signed, manifest, now)
            except NoSpaceError:
                self._fetcher.make_room(_SIGNED_BYTES)
                self._known.save(signed, manifest, now)
        return manifest

    def _renewed(
        self, before: Signed, masters: Sequence[bytes], now: datetime
    ) -> Signed:
        """Return signed files of which only the whitelist may have to be a new one."""
        try:
            before.verify(masters, self._settings.fqrn, now)
        except UntrustedError:
            body = before.manifest
            return Signed(body, self._whitelist(masters, now), self._certificate(body))
        return before

    def _whitelist(self, masters: Sequence[bytes], now: datetime) -> bytes:
        def check(body: bytes) -> bytes:
            Whitelist.verify(body, masters, self._settings.fqrn, now)
            return body

        try:
            return self._transfer.get(
                whitelists.FILE_NAME, check, most=MOST_BYTES, max_age_s=0
            )
        except AbsentError:
            raise UntrustedError(
                f"{whitelists.FILE_NAME}: the repository has none, so that nobody can "
                "tell who may publish there"
            ) from None

    def _certificate(self, body: bytes) -> bytes:
        name = SignedManifest.parse(body).unverified.certificate
        try:
            found = self._fetcher.fetch(name, patience_s=0.0)
        except (AbsentError, DamagedObjectError):
            raise UntrustedError(
                f"{manifests.FILE_NAME}: the certificate that it names, {name}, "
                "is not in the repository"
            ) from None
        with found.open("rb") as file:
            return file.read(_CERTIFICATE_BYTES)

    def _masters(self) -> list[bytes]:
        try:
            return [path.read_bytes() for path in self._settings.master_keys]
        except OSError as error:
            raise UntrustedError(
                f"master key {error.filename}: cannot be read: {error.strerror}"
            ) from None
