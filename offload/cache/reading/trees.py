"""Trees: a folder of the repository as files on disk, made once, checked at each use.

In the cache's own folder files are hard links to the store's contents: nobody but the
cache's user may write there, and jobs see it bound read-only; who writes in spite of all
leaves a trace in the file's time, and the file is replaced. Anywhere else they are
copies.
"""
# Names are bytes of any kind, and there are 50,000 of them.
# ruff: noqa: PTH101, PTH102, PTH105, PTH108, PTH118, PTH208, PTH211

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.rows import Row
from offload.cache.reading import records
from offload.cache.reading.errors import ReadingError
from offload.cache.reading.fetching import Fetcher
from offload.cache.reading.locking import Locks
from offload.cache.reading.records import File, Folder, Link, Placed
from offload.cache.reading.store import Content, Store
from offload.cache.receiving import room
from offload.cache.removal import remove_tree
from offload.snapshot.tree import Kind

_NO_LINK = {errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.ENOSYS}
_TRIES = 8

Rows = Iterable[tuple[bytes, Row]]
"""Relative paths with what lies there, the tree's own folder first, as the empty path."""


class Trees:
    """``FOLDER/NAME`` with ``NAME.record`` and ``NAME.verified`` beside it.

    The record's time is when the tree was last used; the other's, when all its bytes
    were last read.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        fetcher: Fetcher,
        locks: Locks,
        connections: int,
    ) -> None:
        self._folder = folder
        self._store = store
        self._fetcher = fetcher
        self._locks = locks
        self._connections = connections
        self.trash = folder.parent / "trash"
        """Where what is given up waits for its removal."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return where a tree is, or would be."""
        return self._folder / name

    def has(self, name: str) -> bool:
        """Whether a tree is there, whole as far as its making goes."""
        return self._record(name).exists() and self.path(name).exists()

    def names(self) -> list[str]:
        """Return all trees' names."""
        return [p.stem for p in self._folder.glob("[!.]*.record")]

    def used(self, name: str) -> float:
        """Return when a tree was last used: Unix time; 0 if it is gone."""
        try:
            return self._record(name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def contents(self, name: str) -> frozenset[Content]:
        """Return what a tree's files hold; nothing if its record is damaged."""
        entries = self._entries(name) or ()
        return frozenset(e.content for e in entries if isinstance(e, File))

    def ensure(self, name: str, rows: Callable[[], Rows], verify_s: float) -> Path:
        """Return a tree as the repository has it: made, checked or mended.

        Args:
            name: of the tree: what it must look like never changes.
            rows: asked for only if something is to be made or mended.
            verify_s: all bytes are read if nobody has for so long.

        Raises:
            ReadingError: what is lacking or damaged cannot be had.
            NoSpaceError: it does not fit.
        """
        place = self.path(name)
        entries = self._entries(name)
        if entries is None or not place.exists():
            with self._locks.held(f"tree {name}"):
                if self._entries(name) is None or not place.exists():
                    self._make(name, rows())
            return place
        reads_all = self._is_due(name, verify_s)
        self.mend(name, entries, rows, reads_all=reads_all)
        with suppress(FileNotFoundError):
            os.utime(self._record(name))
        return place

    def mend(
        self,
        name: str,
        entries: Sequence[Placed],
        rows: Callable[[], Rows],
        *,
        reads_all: bool,
    ) -> int:
        """Replace what is not as it was put there; return how many entries that were.

        Each is replaced in one step, so that running jobs go on.
        """
        place = self.path(name)
        wrong = list(records.differences(place, entries, reads_all=reads_all))
        if wrong:
            with self._locks.held(f"tree {name}"):
                wrong = list(records.differences(place, entries, reads_all=reads_all))
                self._store.distrust()
                self._replace(place, entries, wrong, dict(rows()))
        if reads_all:
            self._stamp(name)
        return len(wrong)

    def copy(self, rows: Rows, target: Path) -> None:
        """Make a folder of copies; it must not exist, and appears at once.

        Raises:
            ReadingError: there is something already.
        """
        if target.exists() or target.is_symlink():
            raise ReadingError(f"{target}: exists already; choose another folder")
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
        try:
            with room(target.parent):
                self._build(draft, rows, self._copy)
                draft.rename(target)
        finally:
            with suppress(FileNotFoundError):
                remove_tree(draft)

    def discard(self, name: str) -> None:
        """Move a tree away, first of all its record: it is not there any more."""
        self._record(name).unlink(missing_ok=True)
        self._verified(name).unlink(missing_ok=True)
        self.trash.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            self.path(name).rename(self.trash / f"{name}.{secrets.token_hex(4)}")

    def entries(self, name: str) -> list[Placed]:
        """Return what a tree must look like; nothing if that is not known."""
        return self._entries(name) or []

    def drafts(self) -> list[Path]:
        """Return what is being made, and what killed processes have left."""
        return list(self._folder.glob(".*.draft"))

    def _entries(self, name: str) -> list[Placed] | None:
        try:
            return records.read(self._record(name).read_bytes())
        except (FileNotFoundError, DamagedObjectError):
            return None

    def _make(self, name: str, rows: Rows) -> None:
        place = self.path(name)
        draft = place.with_name(f".{name}.{secrets.token_hex(4)}.draft")
        try:
            with room(self._folder):
                entries = self._build(draft, rows, self._link)
                if place.exists():  # without a good record: what it is, nobody knows
                    self.discard(name)
                draft.rename(place)
                written = self._record(name).with_name(f".{name}.record.draft")
                written.write_bytes(records.write(entries))
                self._stamp(name)
                written.replace(self._record(name))
        finally:
            with suppress(FileNotFoundError):
                remove_tree(draft)

    def _build(
        self, draft: Path, rows: Rows, put: Callable[[Row, bytes], Content]
    ) -> list[Placed]:
        top = os.fsencode(draft)
        entries: list[Placed] = []
        files: list[tuple[int, bytes, Row]] = []
        for relative, row in rows:
            path = os.path.join(top, relative) if relative else top
            match row.kind:
                case Kind.FOLDER:
                    os.mkdir(path, 0o700)
                    entries.append(Folder(relative, row.mode & 0o777, row.mtime))
                case Kind.LINK:
                    os.symlink(row.target, path)
                    entries.append(Link(relative, row.target))
                case Kind.FILE:
                    entries.append(Link(relative, b""))  # replaced below
                    files.append((len(entries) - 1, path, row))
        with ThreadPoolExecutor(self._connections, "fetch") as pool:
            try:
                futures = [pool.submit(put, row, path) for _, path, row in files]
                for (index, _, row), future in zip(files, futures, strict=True):
                    relative = entries[index].path
                    entries[index] = File(relative, future.result(), row.size)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        # Last, and the inner ones first: what is put into a folder changes its time.
        for entry in reversed(entries):
            if isinstance(entry, Folder):
                _close(os.path.join(top, entry.path) if entry.path else top, entry)
        return entries

    def _link(self, row: Row, path: bytes) -> Content:
        for _ in range(_TRIES):
            content = self._fetcher.content(row)
            source = os.fsencode(self._store.path(content))
            try:
                os.link(source, path, follow_symlinks=False)
            except FileNotFoundError:
                continue  # cleared away a moment ago
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                self._copy(row, path)
            return content
        raise ReadingError(f"{path!r}: what is fetched is cleared away at once")

    def _copy(self, row: Row, path: bytes) -> Content:
        content = self._fetcher.content(row)
        shutil.copyfile(os.fsencode(self._store.path(content)), path)
        os.chmod(path, content.mode)
        os.utime(path, (content.mtime, content.mtime))
        return content

    def _replace(
        self,
        place: Path,
        entries: Sequence[Placed],
        wrong: Sequence[Placed],
        rows: dict[bytes, Row],
    ) -> None:
        """Put entries back in place, below folders that are opened meanwhile."""
        top = os.fsencode(place)
        folders = {e.path: e for e in entries if isinstance(e, Folder)}
        known = {entry.path for entry in entries}
        touched = {
            parent
            for entry in wrong
            for parent in (entry.path, entry.path.rpartition(b"/")[0])
            if parent in folders
        }
        for path in sorted(touched):
            _open(os.path.join(top, path) if path else top)
        for path in touched:
            _remove_strangers(os.path.join(top, path) if path else top, path, known)
        for entry in wrong:
            path = os.path.join(top, entry.path)
            row = rows.get(entry.path)
            if isinstance(entry, Folder):
                continue
            if row is None:
                raise ReadingError(f"{entry.path!r}: the repository has it no more")
            draft = path + b".%b.draft" % secrets.token_hex(4).encode()
            if isinstance(entry, Link):
                os.symlink(entry.target, draft)
            elif self._link(row, draft) != entry.content:
                raise ReadingError(
                    f"{entry.path!r}: the repository has another one now"
                )
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                remove_tree(Path(os.fsdecode(path)))
            os.replace(draft, path)
        for path in sorted(touched, reverse=True):
            _close(os.path.join(top, path) if path else top, folders[path])

    def _is_due(self, name: str, verify_s: float) -> bool:
        try:
            verified = self._verified(name).stat().st_mtime
        except FileNotFoundError:
            return True
        return time.time() - verified >= verify_s

    def _stamp(self, name: str) -> None:
        self._verified(name).touch(mode=0o600)

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.record"

    def _verified(self, name: str) -> Path:
        return self._folder / f"{name}.verified"


def _open(path: bytes) -> None:
    """Make sure that there is a folder that can be written to."""
    if os.path.islink(path) or not os.path.isdir(path):  # noqa: PTH112, PTH114
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.mkdir(path, 0o700)
    os.chmod(path, 0o700)


def _close(path: bytes, folder: Folder) -> None:
    os.chmod(path, folder.mode)
    os.utime(path, (folder.mtime, folder.mtime))


def _remove_strangers(path: bytes, relative: bytes, known: set[bytes]) -> None:
    for name in os.listdir(path):
        if (os.path.join(relative, name) if relative else name) not in known:
            found = os.path.join(path, name)
            if stat.S_ISDIR(os.lstat(found).st_mode):
                remove_tree(Path(os.fsdecode(found)))
            else:
                os.unlink(found)
