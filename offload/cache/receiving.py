"""Blobs on their way in: appended at an offset, verified, then put in place at once.

A connection that breaks, or a process that is killed, costs what was on the wire: the
next one asks for the offset and goes on.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offload.cache.errors import DigestError, NoSpaceError, OffsetError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK = 1 << 20


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Run what writes below a folder.

    Raises:
        NoSpaceError: the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoSpaceError(
            f"{folder}: no space left at the site ({os.strerror(error.errno or 0)}); "
            "its administrator can make room or lower the cache's quota"
        ) from None


@dataclass(frozen=True, slots=True)
class Missing:
    """A blob that is to be sent."""

    digest: str
    offset: int
    """From where on; what is before was received already."""
    is_coming: bool = False
    """Whether it is on its way from a repository: it need not be sent."""


class Incoming:
    """One blob that is being received, of known digest and length.

    Several may append to the same one: each byte is taken once, whoever is first.

    Args:
        draft: where its bytes are until they are complete.
        place: where it is then.
        digest: ``sha256:HEX``.
        length: bytes it will have.
        arrived: called once the blob is in place.
    """

    def __init__(
        self,
        draft: Path,
        place: Path,
        digest: str,
        length: int,
        arrived: Callable[[str], None] = lambda _digest: None,
    ) -> None:
        self._draft = draft
        self._place = place
        self._arrived = arrived
        self.digest = digest
        self.length = length

    @property
    def offset(self) -> int:
        """Bytes received; the length once it is complete."""
        if self._place.exists():
            return self.length
        try:
            return self._draft.stat().st_size
        except FileNotFoundError:  # not begun, or put in place a moment ago
            return self.length if self._place.exists() else 0

    def append(self, offset: int, data: bytes) -> int:
        """Add bytes at ``offset``; return the new offset.

        Raises:
            OffsetError: it is not the next one; the error says which is.
            DigestError: more bytes than the blob has.
            NoSpaceError: the disk is full; what fitted is kept.
        """
        if self._place.exists():
            raise OffsetError(self.digest, offset, self.length)
        with room(self._draft.parent):
            self._draft.parent.mkdir(parents=True, exist_ok=True)
            with self._draft.open("ab", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = os.fstat(file.fileno()).st_size
                if offset != size:
                    raise OffsetError(self.digest, offset, size)
                if size + len(data) > self.length:
                    raise DigestError(
                        f"blob {self.digest[:19]}: expected {self.length:,} bytes, "
                        f"got at least {size + len(data):,}"
                    )
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
        return offset + len(data)

    def commit(self) -> bool:
        """Verify and put in place what is complete; return whether it is in place.

        Raises:
            DigestError: the bytes are others; they are dropped, to be sent again.
            NoSpaceError: the disk is full.
        """
        if self._place.exists():
            self._draft.unlink(missing_ok=True)
            return True
        if self.offset < self.length:
            return False
        try:
            opened = self._draft.open("rb+", buffering=0)
        except FileNotFoundError:  # somebody else put it in place
            return self._place.exists()
        with room(self._draft.parent), opened as file:
            # Two that finish it together: the second waits, then finds it in place.
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._place.exists():
                return True
            found = hashlib.sha256()
            while block := file.read(_BLOCK):
                found.update(block)
            if f"sha256:{found.hexdigest()}" != self.digest:
                self._draft.unlink(missing_ok=True)
                raise DigestError(
                    f"expected blob {self.digest[:19]}, got bytes of "
                    f"sha256:{found.hexdigest()[:12]}; send it again from the start"
                )
            os.fsync(file.fileno())
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._draft.replace(self._place)
            _sync_folder(self._place.parent)
        self._arrived(self.digest)
        return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
