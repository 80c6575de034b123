"""Files of trees: hard links to the store's contents, or copies of them."""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101

from __future__ import annotations

import errno
import os
import shutil
import stat

from offload.cache.cvmfs.rows import Row
from offload.cache.reading.errors import ReadingError
from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.store import Content, Store

_NO_LINK = {errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS}
_TRIES = 8


class Placer:
    """Puts files of the repository at paths, fetched if need be. Thread-safe."""

    def __init__(self, store: Store, fetcher: Fetcher) -> None:
        self._store = store
        self._fetcher = fetcher

    def link(self, row: Row, path: bytes) -> Content:
        """Make a path show a file, by a link where that works; return what it shows.

        Raises:
            ReadingError: it cannot be had.
        """
        return self._put(row, path, is_linked=True)

    def copy(self, row: Row, path: bytes) -> Content:
        """Make a path a file of its own; else like :meth:`link`."""
        return self._put(row, path, is_linked=False)

    def link_again(self, content: Content, path: bytes) -> bool:
        """Make a path show what one has shown, if that is still here; say whether."""
        stored = content._replace(mode=content.mode | stat.S_IRUSR)
        if not self._store.has(stored):
            return False
        try:
            self._show(stored, content.mode, path, is_linked=True)
        except FileNotFoundError:
            return False
        return True

    def _put(self, row: Row, path: bytes, *, is_linked: bool) -> Content:
        for _ in range(_TRIES):
            content = self._fetcher.content(row)
            try:
                return self._show(content, row.mode & 0o777, path, is_linked=is_linked)
            except FileNotFoundError:
                continue  # cleared away a moment ago
        raise ReadingError(f"{path!r}: what is fetched is cleared away at once")

    def _show(
        self, content: Content, mode: int, path: bytes, *, is_linked: bool
    ) -> Content:
        source = os.fsencode(self._store.path(content))
        # A link has the mode of what is stored, which its owner can read.
        if is_linked and content.mode == mode and _link(source, path):
            return content
        shutil.copyfile(source, path)
        os.chmod(path, mode)
        os.utime(path, (content.mtime, content.mtime))
        return content._replace(mode=mode)


def _link(source: bytes, path: bytes) -> bool:
    """Link if that works here; return whether it did."""
    try:
        os.link(source, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True
