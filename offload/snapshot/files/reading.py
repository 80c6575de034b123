"""Reads files that others may be writing: one state that did exist, or an error.

A file is read between two looks at its size and times. That alone is not enough: the
kernel's clock for them ticks every few milliseconds, so a file may change twice under
one time. So reading begins only when that tick has passed; every later write is then
seen by a later time. (The same holds for git's index, "racy-git.txt".) Not seen are
writes through memory maps, whose time is set when the page is first touched.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from offload.snapshot.errors import ChangingError, UnreadableError
from offload.snapshot.files.fingerprint import Fingerprint

TICK_S = 0.02
"""More than a tick of any kernel's clock for files (CONFIG_HZ=100: 10 ms)."""

PAUSES_S = (0.01, 0.03, 0.1, 0.2, 0.4)
"""Before each time that a file is read again."""

# Nothing, something below a file, a link, a socket, a device without driver.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV}


class TornError(Exception):
    """The file was changed while it was read."""


class GoneError(Exception):
    """There is no file of this name any more."""


class OpenFile:
    """A file that is being read, and what it was when reading began."""

    def __init__(self, path: bytes, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise GoneError
        self.fingerprint = Fingerprint.of(status)
        if time.time_ns() - status.st_ctime_ns < TICK_S * 1e9:
            time.sleep(TICK_S)
            self.check(self.size)
        self.began_ns = time.time_ns()

    @property
    def size(self) -> int:
        return self.fingerprint.size

    @property
    def mode(self) -> int:
        return self.fingerprint.mode

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield the whole content, up to ``size`` bytes at a time.

        A piece is valid until the next one is asked for.

        Raises:
            TornError: it changed meanwhile; what was yielded is worth nothing.
        """
        buffer = memoryview(bytearray(size))
        done = 0
        try:
            # One byte more than there should be tells of a file that has grown.
            while done <= self.size:
                count = os.readv(self._descriptor, [buffer])
                if not count:
                    break
                done += count
                yield buffer[:count]
        except OSError as error:
            raise unreadable(self._path, error) from None
        self.check(done)

    def rewind(self) -> None:
        """Read from the beginning again."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def read_into(self, buffer: memoryview) -> memoryview:
        """Return the whole content, which is in the buffer until that is used again.

        Args:
            buffer: larger than the file.

        Raises:
            TornError: it changed meanwhile.
        """
        done = 0
        try:
            # One byte more than there should be tells of a file that has grown.
            while count := os.readv(self._descriptor, [buffer[done : self.size + 1]]):
                done += count
                # A short read is rare (signals, network file systems), but is no end.
                if done >= self.size:
                    break
        except OSError as error:
            raise unreadable(self._path, error) from None
        self.check(done)
        return buffer[:done]

    def check(self, size: int) -> None:
        """Make sure that what was read, ``size`` bytes, is one state of the file.

        Raises:
            TornError: it is not.
        """
        if (
            size != self.size
            or Fingerprint.of(os.fstat(self._descriptor)) != self.fingerprint
        ):
            raise TornError

    @property
    def is_settled(self) -> bool:
        """Whether this state may be remembered: a change will show."""
        return self.fingerprint.is_settled(self.began_ns)


@contextmanager
def opened(path: bytes) -> Iterator[OpenFile]:
    """Open a file, and not what a link of its name leads to.

    Raises:
        GoneError: there is none, or something else.
        UnreadableError: it may not be read.
    """
    try:
        # Something else may have taken the place of the file: a pipe would block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise GoneError from None
        raise unreadable(path, error) from None
    try:
        yield OpenFile(path, descriptor)
    finally:
        os.close(descriptor)


def attempts(path: bytes) -> Iterator[int]:
    """Yield 0, 1, 2... with growing pauses, then give up on a file that changes.

    Raises:
        ChangingError: after the last.
    """
    yield 0
    for number, pause_s in enumerate(PAUSES_S, 1):
        time.sleep(pause_s)
        yield number
    raise ChangingError(
        f"{show(path)}: changed each of the {len(PAUSES_S) + 1} times it was read; wait for "
        "the program that writes it, or leave it out with a line in .facilityignore"
    )


def unreadable(path: bytes, error: OSError) -> UnreadableError:
    """Say in one line that a file cannot be frozen."""
    return UnreadableError(
        f"{show(path)}: cannot be read: {error.strerror}; make it readable, or leave it "
        "out with a line in .facilityignore"
    )


def show(path: bytes) -> str:
    """Return a path as one line for people, whatever bytes it is made of."""
    text = path.decode(errors="backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]
