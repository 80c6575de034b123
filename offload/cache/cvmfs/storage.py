"""A repository's objects on disk: each is there whole, or not at all.

That holds when a process is killed. Objects are not flushed to the disk one by one but
all at once, before anything says that they are there (:meth:`Storage.sync`): when the
machine goes down, only what nobody has named yet is lost.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path

from offload.cache.cvmfs.catalogue import Catalogue
from offload.cache.cvmfs.errors import (
    DISK_IS_FULL,
    RepositoryBusyError,
    RepositoryError,
)
from offload.cache.cvmfs.lock import held
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.objects import compress, content_of
from offload.cache.errors import NoSpaceError
from offload.outputs.kernel import synchronise

_BLOCK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Storage:
    """Objects in ``PUBLIC/data``; what is being written lies in a folder of drafts.

    Args:
        public: the folder that is served.
        drafts: on the same file system, not served.
    """

    def __init__(self, public: Path, drafts: Path) -> None:
        self._public = os.fspath(public)
        self._drafts = os.fspath(drafts)
        self._aside = drafts.with_name("damaged")
        self._drafting = drafts.with_name("drafting")
        self._removals = drafts.with_name("removals")
        self._own = secrets.token_hex(8)
        self._numbers = count()
        self._unsynced = False
        self._syncing = threading.Lock()

    def make_folders(self) -> None:
        """Make the folders that objects and drafts lie in."""
        Path(self._drafts).mkdir(mode=0o700, exist_ok=True)
        for number in range(256):
            Path(self._public, "data", f"{number:02x}").mkdir(
                parents=True, exist_ok=True
            )

    def path(self, name: ObjectName) -> str:
        """Return where an object lies, or would."""
        return f"{self._public}/{name.path}"

    def put(self, name: ObjectName, compressed: bytes) -> None:
        """Make sure that an object is there.

        Raises:
            NoSpaceError: the disk is full.
        """
        place = self.path(name)
        # What is there may be what a killed process has left, not on the disk yet; one
        # of another size was cut when the machine went down.
        self._unsynced = True
        with suppress(FileNotFoundError):
            if os.stat(place).st_size == len(compressed):  # noqa: PTH116 -- by the thousand
                return
        self.write(place, compressed)

    def put_content(self, content: bytes, suffix: Suffix, level: int) -> ObjectName:
        """Make sure that an object of a content is there; return its name.

        Raises:
            NoSpaceError: the disk is full.
        """
        compressed = compress(content, level)
        name = ObjectName.of(compressed, suffix)
        self.put(name, compressed)
        return name

    def write(self, place: str, data: bytes, *, is_flushed: bool = False) -> None:
        """Put a file in place of what is there, at once.

        Args:
            place: on the file system of the drafts.
            data: what it holds.
            is_flushed: whether it is on the disk before it is in place, and in place
                for good when this returns.

        Raises:
            NoSpaceError: the disk is full; what was there is untouched.
        """
        draft = f"{self._drafts}/{self._own}-{next(self._numbers)}"
        with room():
            try:
                handle = os.open(
                    draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644
                )
                try:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(handle, view) :]
                    if is_flushed:
                        os.fsync(handle)
                finally:
                    os.close(handle)
                os.rename(draft, place)  # noqa: PTH104 -- by the thousand
                if is_flushed:
                    _flush_folder(os.path.dirname(place))  # noqa: PTH120
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft)  # noqa: PTH108
                raise

    def sync(self) -> None:
        """Make sure that all objects that were put are on the disk.

        Raises:
            NoSpaceError: the disk is full.
            OSError: it fails.
        """
        with self._syncing:  # who finds nothing to do has not to be early, either
            if not self._unsynced:
                return
            self._unsynced = False
            try:
                with room():
                    synchronise(Path(self._drafts))
            except BaseException:
                self._unsynced = True
                raise

    def read(self, name: ObjectName) -> bytes:
        """Return an object's content.

        Raises:
            DamagedObjectError: it is not what its name says.
            RepositoryError: it is not there.
        """
        try:
            compressed = Path(self.path(name)).read_bytes()
        except FileNotFoundError:
            raise RepositoryError(f"object {name} is not in the repository") from None
        return content_of(name, compressed)

    def catalogue(self, name: ObjectName) -> Catalogue:
        """Open a catalogue.

        Raises:
            RepositoryError: it is not there, or is none.
        """
        return Catalogue.of(self.read(name), str(name))

    def names(self, part: int | None = None) -> Iterator[ObjectName]:
        """Yield every object that is there; or of one part, by the first byte of names."""
        for number in range(256) if part is None else (part,):
            folder = f"{number:02x}"
            for rest in sorted(os.listdir(f"{self._public}/data/{folder}")):  # noqa: PTH208
                suffix = Suffix(rest[38:])
                yield ObjectName(bytes.fromhex(folder + rest[:38]), suffix)

    def has(self, name: ObjectName) -> bool:
        """Whether an object is there, and not empty as after the machine went down."""
        try:
            return self.size(name) > 0
        except FileNotFoundError:
            return False

    def size(self, name: ObjectName) -> int:
        """Return the bytes that an object takes."""
        return os.stat(self.path(name)).st_size  # noqa: PTH116

    def remove(self, name: ObjectName) -> int:
        """Remove an object; return the bytes that it took, 0 if it was not there."""
        place = self.path(name)
        try:
            size = os.stat(place).st_size  # noqa: PTH116
            os.unlink(place)  # noqa: PTH108
        except FileNotFoundError:
            return 0
        return size

    def difference(self, name: ObjectName) -> str | None:
        """Return why an object is not what its name says; None if it is.

        Raises:
            FileNotFoundError: it is not there.
        """
        found = hashlib.sha1(usedforsecurity=False)
        try:
            with open(self.path(name), "rb", buffering=0) as file:  # noqa: PTH123
                while block := file.read(_BLOCK):
                    found.update(block)
        except FileNotFoundError:
            raise
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        if found.digest() == name.digest:
            return None
        return f"its bytes have the digest {found.hexdigest()}"

    def set_aside(self, name: ObjectName, *, is_lost: bool) -> None:
        """Serve an object no more.

        Args:
            name: of the object; it need not be there.
            is_lost: whether it has to be published again.
        """
        aside = self._aside / str(name)
        if is_lost:
            self._aside.mkdir(mode=0o700, exist_ok=True)
            try:
                os.rename(self.path(name), aside)  # noqa: PTH104
            except FileNotFoundError:
                aside.touch(mode=0o600)
        else:
            self.remove(name)
            aside.unlink(missing_ok=True)

    def lost(self) -> frozenset[ObjectName]:
        """Return what was set aside and has not been published again."""
        return frozenset(name for name in self._put_aside() if not self.has(name))

    def forget_lost(self, named: Collection[ObjectName]) -> None:
        """Drop what was set aside and is there again, or has no name any more."""
        for name in self._put_aside():
            if name not in named or self.has(name):
                (self._aside / str(name)).unlink(missing_ok=True)

    def _put_aside(self) -> list[ObjectName]:
        with suppress(FileNotFoundError):
            return [
                ObjectName.parse(path.name[:40], Suffix(path.name[40:]))
                for path in self._aside.iterdir()
            ]
        return []

    def drafting(self, wait_s: float) -> AbstractContextManager[None]:
        """Keep drafts from being cleared: others write, who are not alone."""
        return held(self._drafting, wait_s, is_shared=True)

    def clear_drafts(self) -> None:
        """Remove what killed writers have left, unless somebody may be writing."""
        with suppress(RepositoryBusyError), held(self._drafting, 0.0):
            for path in Path(self._drafts).iterdir():
                path.unlink()

    def announce_removal(self) -> None:
        """Tell who prepares a publication, before any object goes."""
        with room():
            self._removals.write_bytes(secrets.token_bytes(16))

    def removals(self) -> bytes:
        """Return what is another after objects have gone; ask while nobody removes."""
        try:
            return self._removals.read_bytes()
        except FileNotFoundError:
            return b""


def _flush_folder(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def room() -> Iterator[None]:
    """Turn the system's words for a full disk into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpaceError(DISK_IS_FULL) from None
        raise
