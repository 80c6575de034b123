"""Which revision may be believed: signatures, the whitelist, and what was seen before."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from offload.cache.cvmfs.errors import UntrustedError
from offload.cache.cvmfs.manifest import Manifest, SignedManifest
from offload.cache.cvmfs.whitelist import Whitelist
from offload.cache.reading.errors import OlderRevisionError
from offload.cache.receiving import room
from offload.cache.writing import replace_file


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed files of a revision, as they came."""

    manifest: bytes
    whitelist: bytes
    certificate: bytes
    """PEM or DER: the content of the object that the manifest names."""

    def verify(self, masters: Sequence[bytes], fqrn: str, now: datetime) -> Manifest:
        """Return the manifest, believed by the whole chain from a master key on.

        Raises:
            UntrustedError: which link of it does not hold.
        """
        whitelist = Whitelist.verify(self.whitelist, masters, fqrn, now)
        whitelist.allow(self.certificate)
        return SignedManifest.parse(self.manifest).verify(self.certificate, fqrn)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest revision that was ever believed here."""

    revision: int
    catalogue: str
    """Name of its root catalogue."""
    verified: float
    """When the whitelist was last good for it: Unix time."""

    def allow(self, manifest: Manifest) -> None:
        """Make sure that a manifest is not older, nor another one of the same number.

        Raises:
            OlderRevisionError: it is; somebody replays the past, or was set back to it.
        """
        if manifest.revision < self.revision:
            raise OlderRevisionError(
                f"{manifest.fqrn}: revision {manifest.revision} of "
                f"{manifest.published:%Y-%m-%d %H:%M} UTC is older than "
                f"{self.revision}, which was seen here before; it is not used"
            )
        if (
            manifest.revision == self.revision
            and str(manifest.catalogue) != self.catalogue
        ):
            raise OlderRevisionError(
                f"{manifest.fqrn}: revision {manifest.revision} is another one than "
                "the one with this number that was seen here before; it is not used"
            )


class KnownRevision:
    """The last revision that was believed, in files that survive a crash.

    Which one was seen is written before it is used: after a crash nothing older is
    taken. One writer at a time; the caller holds a lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def seen(self) -> Seen | None:
        try:
            return Seen(**json.loads((self._folder / "seen").read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise UntrustedError(
                f"{self._folder / 'seen'}: it is damaged, so that an older revision "
                "could not be told; if the disk is sound again, delete it"
            ) from None

    def load(
        self, masters: Sequence[bytes], fqrn: str
    ) -> tuple[Manifest, float] | None:
        """Return the last manifest and when it was asked for; None without a whole one.

        The whitelist counts as of the time at which it was last good: a site that is
        cut off goes on with what it has believed.
        """
        try:
            signed = Signed(*(self._path(kind).read_bytes() for kind in _KINDS))
            asked = self._path("manifest").stat().st_mtime
            seen = self.seen
            if seen is None:
                return None
            then = datetime.fromtimestamp(seen.verified, UTC)
            manifest = signed.verify(masters, fqrn, then)
            seen.allow(manifest)
        except (FileNotFoundError, UntrustedError, OlderRevisionError):
            return None  # flipped on disk, or cut off in the middle: fetched again
        return manifest, asked

    def signed(self) -> Signed | None:
        """Return the files as they are, if all are there."""
        try:
            return Signed(*(self._path(kind).read_bytes() for kind in _KINDS))
        except FileNotFoundError:
            return None

    def save(self, signed: Signed, manifest: Manifest, now: datetime) -> None:
        """Keep a revision that was believed; first of all, durably, that it was.

        Raises:
            NoSpaceError: the disk is full; what is kept is still believed.
        """
        seen = Seen(manifest.revision, str(manifest.catalogue), now.timestamp())
        self._write("seen", json.dumps(asdict(seen)).encode(), is_durable=True)
        for kind in _KINDS:
            self._write(kind, getattr(signed, kind))

    def confirm(self) -> None:
        """Note that the revision that is kept is still the newest."""
        os.utime(self._path("manifest"))

    def _path(self, kind: str) -> Path:
        return self._folder / kind

    def _write(self, kind: str, data: bytes, *, is_durable: bool = False) -> None:
        with room(self._folder):
            replace_file(self._path(kind), data, is_durable=is_durable)


_KINDS = ("manifest", "whitelist", "certificate")
